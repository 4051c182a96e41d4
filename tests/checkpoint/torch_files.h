// torch_files.h -- hostile and honest files of torch.save for the tests: zip archives with every field open
// to lies, and pickles opcode by opcode.
#pragma once
#include <zlib.h>

#include <bit>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/torch_file.h"
#include "checkpoint/zip_archive.h"
#include "support/error_of.h"

namespace glossa {

template <class Number>
std::string little(Number number) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof number; ++i) bytes += static_cast<char>(number >> 8 * i);
  return bytes;
}

// ---- zip ----

// What the headers of an entry say.
struct ZipHeader {
  std::uint16_t flags = 0, method = 0;
  std::uint32_t crc = 0, packed = 0, size = 0;
  std::string name, extra, comment;  // only the central header has a comment
};

struct ZipPart {
  ZipPart(const std::string& name, const std::string& bytes) : data(bytes) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    local.crc =
        static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
    local.packed = local.size = size;
    local.name = name;
    central = local;
  }
  std::string data, behind;  // `behind` the data: a descriptor, or what should not be there
  ZipHeader local, central;
  std::optional<std::uint32_t> offset;  // what the central header says of the local one's place
};

struct ZipEnd {
  std::string before, comment;  // `before` the end record: the zip64 record and its locator
  std::optional<std::uint16_t> count;
  std::optional<std::uint32_t> size, offset;
};

inline std::string fields_of(const ZipHeader& h) {
  return little(h.flags) + little(h.method) + std::string(4, '\0') + little(h.crc) + little(h.packed) +
         little(h.size) + little(static_cast<std::uint16_t>(h.name.size())) +
         little(static_cast<std::uint16_t>(h.extra.size()));
}

inline std::string zip_of(const std::vector<ZipPart>& parts, const ZipEnd& end = {}) {
  std::string file, directory;
  for (const ZipPart& part : parts) {
    const auto offset = part.offset.value_or(static_cast<std::uint32_t>(file.size()));
    file += "PK\3\4" + std::string(2, '\0') + fields_of(part.local) + part.local.name + part.local.extra +
            part.data + part.behind;
    directory += "PK\1\2" + std::string(4, '\0') + fields_of(part.central) +
                 little(static_cast<std::uint16_t>(part.central.comment.size())) + std::string(8, '\0') +
                 little(offset) + part.central.name + part.central.extra + part.central.comment;
  }
  const auto begin = static_cast<std::uint32_t>(file.size()),
             size = static_cast<std::uint32_t>(directory.size());
  const auto count = end.count.value_or(static_cast<std::uint16_t>(parts.size()));
  return file + directory + end.before + "PK\5\6" + std::string(4, '\0') + little(count) + little(count) +
         little(end.size.value_or(size)) + little(end.offset.value_or(begin)) +
         little(static_cast<std::uint16_t>(end.comment.size())) + end.comment;
}

inline std::string zip_refusal(const std::string& file, const Limits& limits = {}) {
  return error_of([&] { ZipArchive(as_bytes(file), "a.zip", limits); });
}

// ---- pickle ----

namespace pk {

inline std::string text(const std::string& s) {
  return little(static_cast<std::uint32_t>(s.size())).insert(0, 1, 'X') + s;
}
inline std::string number(std::int64_t n) {
  return std::string("\x8A\x08") + little(static_cast<std::uint64_t>(n));
}
inline std::string global(const std::string& module, const std::string& name) {
  return std::string("c") + module + "\n" + name + "\n";
}
inline std::string tuple(const std::string& items) {
  return std::string("(") + items + "t";
}
inline std::string numbers(const std::vector<std::int64_t>& values) {  // a tuple of them
  std::string items;
  for (const std::int64_t n : values) items += number(n);
  return tuple(items);
}
inline std::string call(const std::string& module, const std::string& name, const std::string& arguments) {
  return global(module, name) + tuple(arguments) + "R";
}
inline std::string dict(const std::string& pairs) {
  return std::string("}(") + pairs + "u";
}
inline std::string ordered_dict() {
  return call("collections", "OrderedDict", "");
}
inline std::string whole(const std::string& value) {
  return std::string("\x80\x02") + value + ".";
}

struct Storage {
  std::string type = "FloatStorage", key = "0";
  std::int64_t elements = 4;
  std::string text() const {
    return tuple(pk::text("storage") + global("torch", type) + pk::text(key) + pk::text("cpu") +
                 number(elements)) +
           "Q";
  }
};

inline std::string tensor(const std::string& storage, std::int64_t offset,
                          const std::vector<std::int64_t>& size, const std::vector<std::int64_t>& stride) {
  return call("torch._utils", "_rebuild_tensor_v2",
              storage + number(offset) + numbers(size) + numbers(stride) + "\x89" + ordered_dict());
}
// Of four f32 in storage "0".
inline std::string tensor() {
  return tensor(Storage().text(), 0, {4}, {1});
}

}  // namespace pk

// ---- torch.save ----

using Storages = std::vector<std::pair<std::string, std::string>>;  // key and bytes

inline std::string four_floats() {
  std::string bytes;
  for (const float x : {1.0f, 2.0f, 3.0f, 4.0f}) bytes += little(std::bit_cast<std::uint32_t>(x));
  return bytes;
}

// A file whose pickle is `code`.
inline std::string torch_file(const std::string& code, const Storages& storages = {{"0", four_floats()}}) {
  std::string file;
  ZipWriter archive([&](Bytes bytes) { file += as_text(bytes); });
  archive.add("f/data.pkl", as_bytes(code));
  for (const auto& [key, bytes] : storages) archive.add("f/data/" + key, as_bytes(bytes));
  archive.add("f/version", as_bytes("3\n"));
  archive.finish();
  return file;
}

inline std::string torch_refusal(const std::string& file, const Limits& limits = {}) {
  return error_of([&] { read_torch_file(as_bytes(file), "f.pt", limits); });
}
// Of a file with this value.
inline std::string refusal_of_value(const std::string& value,
                                    const Storages& storages = {{"0", four_floats()}}) {
  return torch_refusal(torch_file(pk::whole(value), storages));
}

}  // namespace glossa
