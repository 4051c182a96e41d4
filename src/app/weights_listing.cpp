#include "app/weights_listing.h"

#include "base/error.h"
#include "base/parallel.h"
#include "base/unicode.h"

namespace glossa::app {
namespace {

constexpr std::uint64_t kShortArray = 16, kFirst = 6;  // elements: of one shown whole, and of others
constexpr std::size_t kShortText = 60;                 // bytes

bool begins_as_gguf(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  std::byte first[4];
  return is_gguf({first, FileHandle::open_regular(path).read_some(first)});
}

// The digests of all files are taken at once.
template <class F>
void add_digests(std::vector<ListedFile>& files, F&& digest_of) {
  parallel_tasks(static_cast<std::int64_t>(files.size()), [&](std::int64_t i) {
    files[static_cast<std::size_t>(i)].digest = digest_of(static_cast<std::size_t>(i));
  });
}

ListedType listed(ElementType type) {
  const bool is_real = type == ElementType::f64 || type == ElementType::f32 || type == ElementType::f16 ||
                       type == ElementType::bf16;
  return {static_cast<int>(type), name_of(type), !is_real};
}

ListedType listed(GgmlType type) {
  const auto dtype = dtype_of(type);
  return {static_cast<int>(type), name_of(type), dtype && !is_floating(*dtype) && !is_quantised(*dtype)};
}

template <class Info>
ListedTensor listed(const Info& info, std::uint64_t bytes) {
  const auto shape = info.shape();
  return {info.name, listed(info.type), {shape.begin(), shape.end()}, info.elements(), bytes, {}};
}

Listing list_directory(const fs::path& path, bool with_statistics) {
  const auto weights = std::make_shared<const TensorDirectory>(path);
  Listing listing;
  for (const TensorFile& file : weights->files()) listing.files.push_back({file.path(), file.size(), {}});
  add_digests(listing.files, [&](std::size_t i) { return weights->files()[i].digest(); });
  for (const std::string& name : weights->names()) {
    const TensorInfo& info = *weights->info(name);
    ListedTensor& tensor = listing.tensors.emplace_back(listed(info, info.bytes()));
    if (with_statistics) tensor.statistics = weights->statistics(name);
  }
  weights->check_intact();
  listing.notes = weights->notes();
  listing.check_sums = [weights] { weights->check_sums(); };
  listing.check_finite = [weights] { weights->check_finite(); };
  return listing;
}

Listing list_gguf(const fs::path& path, bool with_statistics) {
  const auto file = std::make_shared<const GgufFile>(path);
  Listing listing;
  for (const auto& part : file->files()) listing.files.push_back({part->path(), part->bytes().size(), {}});
  add_digests(listing.files, [&](std::size_t i) { return sha256(file->files()[i]->bytes()); });
  for (const GgufTensorInfo& info : file->tensors()) {
    ListedTensor& tensor = listing.tensors.emplace_back(listed(info, info.bytes));
    if (with_statistics) tensor.statistics = statistics(file->tensor(info));
  }
  file->check_intact();
  listing.check_sums = [] {};
  listing.check_finite = [file] { file->check_finite(); };
  listing.gguf = file;
  return listing;
}

// ---- values of GGUF metadata ----

OrderedJson element(const GgufArray& array, std::uint64_t i) {
  return with_type(array.type(), [&]<class T>(const T&) -> OrderedJson {
    if constexpr (std::is_arithmetic_v<T>)
      return array.at<T>(i);
    else
      return printable(std::string(array.text(i)));
  });
}

OrderedJson first_of(const GgufArray& array, std::uint64_t count) {
  auto list = OrderedJson::array();
  for (std::uint64_t i = 0; i < count; ++i) list.push_back(element(array, i));
  return list;
}

OrderedJson json_of(const GgufValue& value) {
  return std::visit(
      []<class T>(const T& x) -> OrderedJson {
        if constexpr (std::is_same_v<T, std::string>)
          return printable(x);
        else if constexpr (!std::is_same_v<T, GgufArray>)
          return x;
        else if (x.size() <= kShortArray)
          return first_of(x, x.size());
        else
          return {{"type", name_of(x.type())}, {"count", x.size()}, {"first", first_of(x, kFirst)}};
      },
      value);
}

std::string text_of(const GgufValue& value) {
  return std::visit(
      []<class T>(const T& x) {
        if constexpr (std::is_same_v<T, std::string>) {
          return quoted(x, kShortText);
        } else if constexpr (std::is_same_v<T, GgufArray>) {
          const std::uint64_t count = std::min<std::uint64_t>(x.size(), kFirst);
          std::string list;
          for (std::uint64_t i = 0; i < count; ++i) {
            const std::string item =
                x.type() == GgufType::string ? quoted(x.text(i), 24) : element(x, i).dump();
            list += (i ? ", " : "") + item;
          }
          return fmt::format("{} {}: {}{}", x.size(), name_of(x.type()), list,
                             x.size() > count ? ", ..." : "");
        } else {
          return fmt::format("{}", x);
        }
      },
      value);
}

}  // namespace

std::string printable(const std::string& text) {
  return utf8_error(text) ? quoted(text) : text;
}

Listing list_weights(const fs::path& path, bool statistics) {
  return begins_as_gguf(path) ? list_gguf(path, statistics) : list_directory(path, statistics);
}

std::string gguf_text(const GgufFile& file) {
  const auto& entries = file.metadata().entries();
  std::string out = fmt::format("GGUF version {}, {} keys\n", file.version(), entries.size());
  for (const auto& [key, value] : entries) {
    const std::string safe = quoted(key);
    out += fmt::format("  {:<42} {}\n", safe.size() == key.size() + 2 ? key : safe, text_of(value));
  }
  return out + '\n';
}

OrderedJson gguf_json(const GgufFile& file) {
  auto metadata = OrderedJson::object();
  for (const auto& [key, value] : file.metadata().entries()) metadata[key] = json_of(value);
  return {{"version", file.version()}, {"metadata", std::move(metadata)}};
}

}  // namespace glossa::app
