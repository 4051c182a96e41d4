#include "checkpoint/zip_archive.h"

#include <zlib.h>

#include <algorithm>
#include <initializer_list>
#include <numeric>

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034B50, kDescriptor = 0x08074B50, kCentralHeader = 0x02014B50,
                        kEnd = 0x06054B50, kZip64End = 0x06064B50, kZip64Locator = 0x07064B50;
constexpr std::size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kZip64EndBytes = 56,
                      kLocatorBytes = 20;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // a field of 32 bits whose value stands in the zip64 field
constexpr std::uint16_t kIn64Short = 0xFFFF;
constexpr std::uint16_t kZip64Field = 1;
constexpr std::uint16_t kHasDescriptor = 1 << 3, kUtf8Name = 1 << 11;  // the flags that are allowed
constexpr std::uint32_t kFirstDay = 0x21;  // 1980-01-01 as DOS has it: no date is told

// Reads little-endian numbers, each once: another process may write to the file meanwhile.
class Fields {
 public:
  explicit Fields(Bytes bytes) : bytes_(bytes) {}
  template <class Number>
  Number take() {
    Number value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i)
      value = static_cast<Number>(value | std::to_integer<Number>(bytes_[i]) << 8 * i);
    bytes_ = bytes_.subspan(sizeof value);
    return value;
  }
  std::uint16_t u16() { return take<std::uint16_t>(); }
  std::uint32_t u32() { return take<std::uint32_t>(); }
  std::uint64_t u64() { return take<std::uint64_t>(); }
  std::size_t left() const { return bytes_.size(); }
  Bytes cut(std::size_t size) {
    const Bytes front = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return front;
  }

 private:
  Bytes bytes_;
};

struct Directory {
  std::uint64_t begin = 0, end = 0, count = 0;
};

// A header of an entry, the central one or the local one.
struct Header {
  std::uint16_t flags = 0, method = 0;
  std::uint32_t crc = 0;
  std::uint64_t packed = 0, size = 0, offset = 0;
  std::string_view name;
  Bytes extra;
};

std::uint32_t crc32(Bytes bytes) {
  return static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

class Reader {
 public:
  Reader(Bytes archive, std::string_view origin, const Limits& limits)
      : archive_(archive), origin_(origin), limits_(limits) {}

  std::vector<ZipArchive::Entry> read() {
    const Directory directory = find_directory();
    check(directory.count <= limits_.zip_entries, Code::count, "{}: {} entries, and at most {} are allowed",
          origin_, directory.count, limits_.zip_entries);
    // Each takes its header at least: a count that is too large is found before anything is allocated for it.
    if (directory.count > (directory.end - directory.begin) / kCentralBytes)
      refuse(directory.begin, "a central directory of {} bytes cannot hold {} entries",
             directory.end - directory.begin, directory.count);
    read_headers(directory);
    check_cover(directory.begin);
    sort();
    return std::move(entries_);
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(std::uint64_t byte, fmt::format_string<Args...> format, Args&&... args) const {
    fail(Code::torch_file, "{}: byte {}: {}", origin_, byte,
         fmt::format(format, std::forward<Args>(args)...));
  }
  Fields fields(std::uint64_t at, std::size_t size) const {
    return Fields(archive_.subspan(static_cast<std::size_t>(at), size));
  }

  // The end record must be the last bytes of the file: behind a comment there could be a second one.
  Directory find_directory() const {
    check(archive_.size() >= kEndBytes, Code::torch_file, "{}: {} bytes are too few for a zip archive",
          origin_, archive_.size());
    const std::uint64_t at = archive_.size() - kEndBytes;
    Fields f = fields(at, kEndBytes);
    if (f.u32() != kEnd)
      refuse(at, "no end of a zip archive here: the file is cut short, or something follows the archive");
    const std::uint16_t disk = f.u16(), first_disk = f.u16(), count_here = f.u16(), count = f.u16();
    const std::uint32_t size = f.u32(), offset = f.u32();
    if (const std::uint16_t comment = f.u16(); comment != 0) refuse(at, "a comment of {} bytes", comment);
    if (disk != 0 || first_disk != 0 || count_here != count) refuse(at, "one of several disks");
    Directory directory{.begin = offset, .end = std::uint64_t{offset} + size, .count = count};
    const std::uint64_t end = with_zip64(at, size, directory);
    if (directory.begin > end || directory.end != end)
      refuse(at, "the central directory is said to be bytes {} to {}, and must end at {}", directory.begin,
             directory.end, end);
    return directory;
  }

  // Looks before the end record at `at` for the zip64 one, which decides where the short fields have no room
  // and must agree with them elsewhere. Returns where the central directory has to end.
  std::uint64_t with_zip64(std::uint64_t at, std::uint32_t size, Directory& directory) const {
    const bool needed = size == kIn64 || directory.begin == kIn64 || directory.count == kIn64Short;
    const bool there =
        at >= kLocatorBytes && fields(at - kLocatorBytes, kLocatorBytes).u32() == kZip64Locator;
    if (!there) {
      if (needed) refuse(at, "no zip64 record before the end of the archive, and its fields ask for one");
      return at;
    }
    const std::uint64_t locator = at - kLocatorBytes;
    Fields l = fields(locator + 4, kLocatorBytes - 4);
    const std::uint32_t disk = l.u32();
    const std::uint64_t where = l.u64();
    const std::uint32_t disks = l.u32();
    if (disk != 0 || disks != 1) refuse(locator, "one of several disks");
    if (locator < kZip64EndBytes || where != locator - kZip64EndBytes)
      refuse(locator, "the zip64 record is said to begin at {}, and must end here", where);
    Fields f = fields(where, kZip64EndBytes);
    if (f.u32() != kZip64End || f.u64() != kZip64EndBytes - 12) refuse(where, "no zip64 record of 56 bytes");
    f.cut(4);  // versions
    if (f.u64() != 0) refuse(where, "one of several disks");
    const std::uint64_t count_here = f.u64(), count = f.u64(), bytes = f.u64(), begin = f.u64();
    const bool same = count_here == count && (directory.count == kIn64Short || directory.count == count) &&
                      (size == kIn64 || size == bytes) &&
                      (directory.begin == kIn64 || directory.begin == begin) && bytes <= where &&
                      begin == where - bytes;
    if (!same)
      refuse(where, "the zip64 record says {} entries in {} bytes at {}, which does not fit the end record",
             count, bytes, begin);
    directory = {.begin = begin, .end = begin + bytes, .count = count};
    return where;
  }

  void read_headers(const Directory& directory) {
    std::uint64_t at = directory.begin;
    entries_.reserve(static_cast<std::size_t>(directory.count));
    for (std::uint64_t i = 0; i < directory.count; ++i) {
      const std::uint64_t here = at;
      const Header central = central_header(at, directory.end);
      check_name(here, central.name);
      entries_.push_back(
          {.name = central.name, .header = central.offset, .size = central.size, .crc = central.crc});
      check_local(here, central, directory.begin);
    }
    if (at != directory.end)
      refuse(at, "{} bytes behind the last entry of the central directory", directory.end - at);
  }

  Header central_header(std::uint64_t& at, std::uint64_t end) const {
    if (end - at < kCentralBytes) refuse(at, "the central directory ends within an entry");
    Fields f = fields(at, kCentralBytes);
    if (f.u32() != kCentralHeader) refuse(at, "no entry of the central directory");
    f.cut(4);  // versions
    Header h;
    h.flags = f.u16(), h.method = f.u16();
    f.cut(4);  // time and date
    h.crc = f.u32(), h.packed = f.u32(), h.size = f.u32();
    const std::uint16_t name = f.u16(), extra = f.u16(), comment = f.u16(), disk = f.u16();
    f.cut(6);  // attributes
    h.offset = f.u32();
    const std::uint64_t next = at + kCentralBytes + name + extra + comment;
    if (next > end) refuse(at, "the central directory ends within an entry");
    if (comment != 0) refuse(at, "a comment of {} bytes on an entry", comment);
    if (disk != 0) refuse(at, "an entry on another disk");
    h.name = as_text(archive_.subspan(at + kCentralBytes, name));
    h.extra = archive_.subspan(at + kCentralBytes + name, extra);
    take_zip64(at, h, {&h.size, &h.packed, &h.offset});
    if (h.flags & ~(kHasDescriptor | kUtf8Name))
      refuse(at, "{}: flags {:#06x}: encrypted or patched entries are not read", quoted(h.name), h.flags);
    if (h.method != 0)
      refuse(at, "{}: compressed (method {}): only stored entries are read, as torch.save writes them",
             quoted(h.name), h.method);
    if (h.packed != h.size)
      refuse(at, "{}: sizes {} and {} of a stored entry", quoted(h.name), h.packed, h.size);
    at = next;
    return h;
  }

  // The extra fields are (kind, size, bytes). Returns the bytes of that of zip64, none if there is none.
  Bytes zip64_field(std::uint64_t at, const Header& header) const {
    Bytes zip64;
    for (Fields f(header.extra); f.left() > 0;) {
      if (f.left() < 4) refuse(at, "{}: broken extra fields", quoted(header.name));
      const std::uint16_t kind = f.u16(), size = f.u16();
      if (size > f.left()) refuse(at, "{}: broken extra fields", quoted(header.name));
      const Bytes bytes = f.cut(size);
      if (kind != kZip64Field) continue;
      if (!zip64.empty() || size == 0 || size % 8 != 0 || size > 24)
        refuse(at, "{}: a broken zip64 field", quoted(header.name));
      zip64 = bytes;
    }
    return zip64;
  }

  // The zip64 field holds the values that had no room in the header, in this order, and no others.
  void take_zip64(std::uint64_t at, const Header& header,
                  std::initializer_list<std::uint64_t*> values) const {
    Fields f(zip64_field(at, header));
    for (std::uint64_t* value : values) {
      if (*value != kIn64) continue;
      if (f.left() == 0) refuse(at, "{}: its zip64 field lacks a value", quoted(header.name));
      *value = f.u64();
    }
    if (f.left() != 0) refuse(at, "{}: its zip64 field has {} bytes too many", quoted(header.name), f.left());
  }

  void check_name(std::uint64_t at, std::string_view name) const {
    if (name.empty() || name.size() > limits_.name_bytes)
      refuse(at, "a name of {} bytes; 1 to {} are allowed", name.size(), limits_.name_bytes);
    bool good = !utf8_error(name) && name.find('\0') == std::string_view::npos &&
                name.find('\\') == std::string_view::npos;
    for (std::size_t begin = 0; good && begin <= name.size();) {
      const std::size_t end = std::min(name.find('/', begin), name.size());
      const std::string_view part = name.substr(begin, end - begin);
      good = !part.empty() && part != "." && part != "..";
      begin = end + 1;
    }
    if (!good) refuse(at, "name {} is not a plain relative path", quoted(name));
  }

  // The local header must say what the central one says. Where a descriptor follows the entry, sizes and CRC
  // may be 0 in it, and its zip64 field holds sizes, offset or 0, as torch.save writes it.
  void check_local(std::uint64_t at, const Header& central, std::uint64_t directory) {
    ZipArchive::Entry& entry = entries_.back();
    if (central.offset > directory || directory - central.offset < kLocalBytes)
      refuse(at, "{}: its header is said to be at {}, and the central directory begins at {}",
             quoted(central.name), central.offset, directory);
    Fields f = fields(central.offset, kLocalBytes);
    if (f.u32() != kLocalHeader) refuse(central.offset, "{}: no header of an entry", quoted(central.name));
    f.cut(2);  // version
    Header h;
    h.flags = f.u16(), h.method = f.u16();
    f.cut(4);  // time and date
    h.crc = f.u32(), h.packed = f.u32(), h.size = f.u32();
    const std::uint16_t name = f.u16(), extra = f.u16();
    entry.begin = central.offset + kLocalBytes + name + extra;
    if (entry.begin > directory || entry.size > directory - entry.begin)
      refuse(at, "{}: {} bytes at {} reach into the central directory", quoted(central.name), entry.size,
             entry.begin);
    h.name = as_text(archive_.subspan(central.offset + kLocalBytes, name));
    h.extra = archive_.subspan(central.offset + kLocalBytes + name, extra);
    const bool told_later = h.flags & kHasDescriptor && h.crc == 0 && h.packed == 0 && h.size == 0;
    if (told_later) {
      for (Fields z(zip64_field(central.offset, h)); z.left() > 0;)
        if (const std::uint64_t value = z.u64();
            value != 0 && value != central.size && value != central.offset)
          refuse(central.offset, "{}: its zip64 field says {}", quoted(central.name), value);
      h.crc = central.crc, h.packed = central.packed, h.size = central.size;
    } else {
      take_zip64(central.offset, h, {&h.size, &h.packed});
    }
    const bool same = h.flags == central.flags && h.method == central.method && h.name == central.name &&
                      h.crc == central.crc && h.packed == central.packed && h.size == central.size;
    if (!same)
      refuse(central.offset, "{}: this header and the central directory's at {} differ", quoted(central.name),
             at);
    flags_.push_back(h.flags);
  }

  // In the order of the file, each entry must begin where the one before ends.
  void check_cover(std::uint64_t directory) const {
    std::vector<std::uint32_t> order(entries_.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return entries_[a].header < entries_[b].header; });
    std::uint64_t covered = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const ZipArchive::Entry& entry = entries_[order[i]];
      if (entry.header != covered)
        refuse(entry.header, "{}: begins here, and what is before it ends at {}", quoted(entry.name),
               covered);
      covered = entry.begin + entry.size;
      const std::uint64_t next = i + 1 < order.size() ? entries_[order[i + 1]].header : directory;
      if (flags_[order[i]] & kHasDescriptor) covered += check_descriptor(entry, next);
    }
    if (covered != directory)
      refuse(covered, "{} bytes that belong to no entry", directory - std::min(covered, directory));
  }

  // A descriptor has sizes of 32 or of 64 bits, and only where the next thing begins tells which.
  std::uint64_t check_descriptor(const ZipArchive::Entry& entry, std::uint64_t next) const {
    const std::uint64_t at = entry.begin + entry.size, bytes = next - std::min(at, next);
    if (bytes != 16 && bytes != 24) refuse(at, "{}: no descriptor follows its bytes", quoted(entry.name));
    Fields f = fields(at, bytes);
    const auto number = [&] { return bytes == 16 ? f.u32() : f.u64(); };
    const bool same =
        f.u32() == kDescriptor && f.u32() == entry.crc && number() == entry.size && number() == entry.size;
    if (!same)
      refuse(at, "{}: the descriptor behind its bytes and the central directory differ", quoted(entry.name));
    return bytes;
  }

  void sort() {
    std::sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    const auto same = [](const auto& a, const auto& b) { return a.name == b.name; };
    const auto twin = std::adjacent_find(entries_.begin(), entries_.end(), same);
    if (twin != entries_.end())
      refuse(twin[1].header, "{}: a second entry of this name; another is at {}", quoted(twin->name),
             twin->header);
  }

  Bytes archive_;
  std::string_view origin_;
  const Limits& limits_;
  std::vector<ZipArchive::Entry> entries_;
  std::vector<std::uint16_t> flags_;  // of each entry
};

}  // namespace

ZipArchive::ZipArchive(Bytes archive, std::string_view origin, const Limits& limits)
    : archive_(archive), origin_(origin), entries_(Reader(archive, origin, limits).read()) {}

const ZipArchive::Entry* ZipArchive::find(std::string_view name) const {
  const auto it = std::lower_bound(entries_.begin(), entries_.end(), name,
                                   [](const Entry& entry, std::string_view n) { return entry.name < n; });
  return it != entries_.end() && it->name == name ? &*it : nullptr;
}

void ZipArchive::check_crc(const Entry& entry) const {
  if (entry.crc == 0) return;
  const std::uint32_t found = crc32(bytes_of(entry));
  check(found == entry.crc, Code::torch_file,
        "{}: {}: its bytes have CRC {:08x}, and {:08x} is written down: damaged", origin_, quoted(entry.name),
        found, entry.crc);
}

// ---- ZipWriter ----

namespace {

template <class... Numbers>
std::string little_endian(Numbers... numbers) {
  std::string bytes;
  const auto append = [&](auto number) {
    for (std::size_t i = 0; i < sizeof number; ++i) bytes += static_cast<char>(number >> 8 * i);
  };
  (append(numbers), ...);
  return bytes;
}

using U16 = std::uint16_t;
using U32 = std::uint32_t;
using U64 = std::uint64_t;
constexpr U16 kVersion = 45;           // of the format: the first with zip64
constexpr U16 kPaddingField = 0x4246;  // "FB", as torch.save has it
constexpr std::size_t kAlignment = 64;

}  // namespace

void ZipWriter::put(std::string_view text) {
  write_(as_bytes(text));
  written_ += text.size();
}

void ZipWriter::add(std::string_view name, Bytes bytes) {
  const U64 offset = written_, size = bytes.size();
  const std::string common =
      little_endian(kUtf8Name, U16{0}, kFirstDay << 16, crc32(bytes), kIn64, kIn64, U16(name.size()));
  std::string extra = little_endian(kZip64Field, U16{16}, size, size);
  const U64 begin = offset + kLocalBytes + name.size() + extra.size() + 4;
  const auto padding = static_cast<std::size_t>((kAlignment - begin % kAlignment) % kAlignment);
  extra += little_endian(kPaddingField, U16(padding)) + std::string(padding, 'Z');
  put(little_endian(kLocalHeader, kVersion) + common + little_endian(U16(extra.size())));
  put(name);
  put(extra);
  write_(bytes);
  written_ += size;
  extra = little_endian(kZip64Field, U16{24}, size, size, offset);
  directory_ += little_endian(kCentralHeader, kVersion, kVersion) + common;
  directory_ += little_endian(U16(extra.size()), U16{0}, U16{0}, U16{0}, U32{0}, kIn64);
  directory_ += name;
  directory_ += extra;
  ++count_;
}

void ZipWriter::finish() {
  const U64 begin = written_, end = begin + directory_.size();
  put(directory_);
  put(little_endian(kZip64End, U64{kZip64EndBytes - 12}, kVersion, kVersion, U32{0}, U32{0}, count_, count_,
                    U64(directory_.size()), begin));
  put(little_endian(kZip64Locator, U32{0}, end, U32{1}));
  put(little_endian(kEnd, U16{0}, U16{0}, kIn64Short, kIn64Short, kIn64, kIn64, U16{0}));
}

}  // namespace glossa
