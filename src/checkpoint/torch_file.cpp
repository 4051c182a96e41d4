#include "checkpoint/torch_file.h"

#include <algorithm>
#include <optional>

#include "base/checked.h"
#include "base/error.h"
#include "base/unicode.h"
#include "checkpoint/pickle.h"
#include "checkpoint/zip_archive.h"

namespace glossa {
namespace {

using Kind = Pickle::Kind;
using Value = Pickle::Value;

struct TypeNames {
  std::string_view storage, dtype;
  ElementType type;
};
constexpr TypeNames kTypes[] = {
    {"torch.DoubleStorage", "torch.float64", ElementType::f64},
    {"torch.FloatStorage", "torch.float32", ElementType::f32},
    {"torch.HalfStorage", "torch.float16", ElementType::f16},
    {"torch.BFloat16Storage", "torch.bfloat16", ElementType::bf16},
    {"torch.LongStorage", "torch.int64", ElementType::i64},
    {"torch.IntStorage", "torch.int32", ElementType::i32},
    {"torch.ShortStorage", "torch.int16", ElementType::i16},
    {"torch.CharStorage", "torch.int8", ElementType::i8},
    {"torch.ByteStorage", "torch.uint8", ElementType::u8},
    {"torch.BoolStorage", "torch.bool", ElementType::boolean},
};
constexpr std::string_view kUntypedStorage = "torch.storage.UntypedStorage";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2",
                           kRebuildTensorV3 = "torch._utils._rebuild_tensor_v3",
                           kRebuildFromType = "torch._tensor._rebuild_from_type_v2";
constexpr std::string_view kTensorMakers[] = {kRebuildTensor, kRebuildTensorV3, kRebuildFromType,
                                              "torch._utils._rebuild_parameter",
                                              "torch._utils._rebuild_parameter_with_state"};
constexpr std::string_view kStateDictKeys[] = {"state_dict", "model_state_dict", "model"};
constexpr std::string_view kParallelPrefix = "module.";
constexpr std::size_t kSkippedShown = 8;

// Elements of a type that lie one after another in the file.
struct StoredBlock {
  ElementType type;
  std::uint64_t begin, elements;
};

class StateDictReader {
 public:
  StateDictReader(const ZipArchive& archive, std::string_view folder, std::string_view origin,
                  const Limits& limits)
      : archive_(archive), folder_(folder), origin_(origin), limits_(limits), pickle_(read_pickle()) {
    limits_.rank = std::min(limits_.rank, static_cast<int>(std::tuple_size_v<decltype(TensorInfo::dims)>));
  }

  TensorTable read(std::uint64_t file_bytes) {
    const auto items = pickle_.items(find_state_dict());
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < items.size(); i += 2) {
      if (!is_tensor(items[i + 1])) {
        skip(items[i]);
        continue;
      }
      check(table_.tensors.size() < limits_.tensors, Code::count, "{}: more than the {} tensors allowed",
            origin_, limits_.tensors);
      name_ = name_of_tensor(items[i]);
      table_.tensors.push_back(tensor(items[i + 1]));
      bytes = checked_add(bytes, table_.tensors.back().bytes());
    }
    check(bytes / limits_.tensor_expansion <= file_bytes, Code::torch_file,
          "{}: the tensors have {} bytes, more than {} for each byte of the file", origin_, bytes,
          limits_.tensor_expansion);
    strip_prefix();
    note_skipped();
    if (const auto twin = table_.sort_names())
      fail(Code::torch_file, "{}: two tensors have the name {}", origin_,
           quoted(table_.tensors[twin->first].name));
    return std::move(table_);
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Code::torch_file, "{}: tensor {}: {}", origin_, quoted(name_),
         fmt::format(format, std::forward<Args>(args)...));
  }

  Pickle read_pickle() const {
    const auto* const entry = archive_.find(fmt::format("{}data.pkl", folder_));
    archive_.check_crc(*entry);
    return parse_pickle(archive_.bytes_of(*entry), fmt::format("{}: data.pkl", origin_), limits_);
  }

  // ---- where the tensors are ----

  // The name of the global that is called, of a call.
  std::string_view called(Value v) const {
    return pickle_.kind(v) == Kind::call ? pickle_.text(pickle_.items(v)[0]) : std::string_view();
  }
  bool is_tensor(Value v) const {
    return std::find(std::begin(kTensorMakers), std::end(kTensorMakers), called(v)) !=
           std::end(kTensorMakers);
  }
  bool holds_tensors(Value v) const {
    if (pickle_.kind(v) != Kind::dict) return false;
    const auto items = pickle_.items(v);
    for (std::size_t i = 1; i < items.size(); i += 2)
      if (is_tensor(items[i])) return true;
    return false;
  }

  Value find_state_dict() {
    const Value root = pickle_.root();
    if (is_tensor(root))
      fail(Code::torch_file, "{}: holds one tensor without a name, and no state dict", origin_);
    if (pickle_.kind(root) == Kind::instance)
      fail(Code::torch_file,
           "{}: holds an instance of {} and no state dict: save what its state_dict() gives", origin_,
           quoted(pickle_.text(pickle_.items(root)[0])));
    check(pickle_.kind(root) == Kind::dict, Code::torch_file, "{}: holds {} where a state dict must be",
          origin_, name_of(pickle_.kind(root)));
    for (const std::string_view key : kStateDictKeys)
      if (const auto found = under(root, key)) return *found;
    check(holds_tensors(root) || pickle_.items(root).empty(), Code::torch_file,
          "{}: holds no state dict: the dict saved has no tensors, nor has what is under its keys {}",
          origin_, fmt::join(kStateDictKeys, ", "));
    return root;
  }

  // The dict of tensors under a key, if there is one; the other keys are passed over.
  std::optional<Value> under(Value root, std::string_view key) {
    std::optional<Value> found;
    const auto items = pickle_.items(root);
    const auto is_key = [&](Value v) { return pickle_.kind(v) == Kind::text && pickle_.text(v) == key; };
    for (std::size_t i = 0; i < items.size(); i += 2) {
      if (!is_key(items[i]) || !holds_tensors(items[i + 1])) continue;
      check(!found, Code::torch_file, "{}: two dicts of tensors under the key {}", origin_, quoted(key));
      found = items[i + 1];
    }
    if (!found) return found;
    table_.notes.push_back(fmt::format("the tensors are those under the key {}", quoted(key)));
    for (std::size_t i = 0; i < items.size(); i += 2)
      if (items[i + 1] != *found) skip(items[i]);
    return found;
  }

  void skip(Value key) {
    if (skipped_++ >= kSkippedShown) return;
    skipped_keys_ += skipped_keys_.empty() ? "" : ", ";
    skipped_keys_ += pickle_.kind(key) == Kind::text ? quoted(pickle_.text(key), 40)
                                                     : std::string(name_of(pickle_.kind(key)));
  }
  void note_skipped() {
    if (skipped_ > 0)
      table_.notes.push_back(
          fmt::format("passed over, as they are no tensors of the state dict: {}{}", skipped_keys_,
                      skipped_ > kSkippedShown ? fmt::format(" and {} more", skipped_ - kSkippedShown) : ""));
  }

  void strip_prefix() {
    auto& tensors = table_.tensors;
    const bool all = std::all_of(tensors.begin(), tensors.end(), [](const TensorInfo& t) {
      return t.name.starts_with(kParallelPrefix) && t.name.size() > kParallelPrefix.size();
    });
    if (tensors.empty() || !all) return;
    for (TensorInfo& t : tensors) t.name.erase(0, kParallelPrefix.size());
    table_.notes.push_back(fmt::format("all names begin with {} in the file, and are given without it",
                                       quoted(kParallelPrefix)));
  }

  std::string name_of_tensor(Value key) const {
    check(pickle_.kind(key) == Kind::text, Code::torch_file, "{}: a tensor's name is {}, and must be a text",
          origin_, name_of(pickle_.kind(key)));
    const std::string_view name = pickle_.text(key);
    check(name.size() <= limits_.name_bytes, Code::torch_file,
          "{}: a name of {} bytes, and at most {} are allowed: {}", origin_, name.size(), limits_.name_bytes,
          quoted(name, 40));
    check(!utf8_error(name), Code::torch_file, "{}: a name is not UTF-8: {}", origin_, quoted(name));
    return std::string(name);
  }

  // ---- one tensor ----

  std::span<const Value> arguments(Value call) const { return pickle_.items(pickle_.items(call)[1]); }

  // The call of _rebuild_tensor_v2 or v3 in what makes a parameter, or a tensor with attributes, of it. It
  // ends, as the pickle is free of cycles.
  std::pair<std::string_view, std::span<const Value>> innermost(Value v) const {
    while (called(v).starts_with("torch._utils._rebuild_parameter")) {
      const Value made_of = arguments(v)[0];
      if (!is_tensor(made_of)) refuse("a parameter made of {}", name_of(pickle_.kind(made_of)));
      v = made_of;
    }
    const auto args = arguments(v);
    if (called(v) != kRebuildFromType) return {called(v), args};
    // (function, type, arguments, state)
    const std::string_view function = pickle_.text(args[0]);
    if (function != kRebuildTensor && function != kRebuildTensorV3)
      refuse("it is made by {}, which is not read", quoted(function));
    if (pickle_.kind(args[2]) != Kind::tuple)
      refuse("{} with {} for arguments", function, name_of(pickle_.kind(args[2])));
    return {function, pickle_.items(args[2])};
  }

  // _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata = None); v3 has the
  // dtype before the metadata, and a storage of bytes.
  TensorInfo tensor(Value v) const {
    const auto [name, args] = innermost(v);
    const bool has_dtype = name == kRebuildTensorV3;
    const std::size_t least = has_dtype ? 7 : 6;
    if (args.size() < least || args.size() > least + 1)
      refuse("{} with {} arguments; it takes {} or {}", name, args.size(), least, least + 1);
    if (pickle_.kind(args[4]) != Kind::boolean) refuse("requires_grad is {}", name_of(pickle_.kind(args[4])));
    check_metadata(args, least);
    const StoredBlock block = storage(args[0], has_dtype ? std::optional(args[6]) : std::nullopt);
    const std::int64_t offset = whole(args[1], "offset");
    TensorInfo info;
    info.name = name_;
    info.type = block.type;
    const auto dims = whole_numbers(args[2], "size"), strides = whole_numbers(args[3], "stride");
    if (dims.size() != strides.size()) refuse("{} sizes and {} strides", dims.size(), strides.size());
    std::copy(dims.begin(), dims.end(), info.dims.begin());
    info.rank = static_cast<std::uint8_t>(dims.size());
    place(info, strides, static_cast<std::uint64_t>(offset), block);
    return info;
  }

  void check_metadata(std::span<const Value> args, std::size_t at) const {
    if (args.size() <= at || pickle_.kind(args[at]) == Kind::none) return;
    if (pickle_.kind(args[at]) != Kind::dict || !pickle_.items(args[at]).empty())
      refuse("it has metadata, such as a conjugate or negative view, which is not read");
  }

  std::int64_t whole(Value v, std::string_view what) const {
    if (pickle_.kind(v) != Kind::integer || pickle_.integer(v) < 0)
      refuse("{} is {}{}; a whole number of at least 0 must be", what, name_of(pickle_.kind(v)),
             pickle_.kind(v) == Kind::integer ? fmt::format(" ({})", pickle_.integer(v)) : "");
    return pickle_.integer(v);
  }
  std::vector<std::int64_t> whole_numbers(Value v, std::string_view what) const {
    if (pickle_.kind(v) != Kind::tuple) refuse("{} is {}; a tuple must be", what, name_of(pickle_.kind(v)));
    const auto items = pickle_.items(v);
    check(items.size() <= static_cast<std::size_t>(limits_.rank), Code::size,
          "{}: tensor {}: {} dimensions, and at most {} are allowed", origin_, quoted(name_), items.size(),
          limits_.rank);
    std::vector<std::int64_t> numbers;
    for (const Value item : items) numbers.push_back(whole(item, what));
    return numbers;
  }

  // The persistent id ("storage", type, key, location, elements); of an untyped storage the elements are
  // bytes.
  StoredBlock storage(Value v, std::optional<Value> dtype) const {
    if (pickle_.kind(v) != Kind::persistent) refuse("its storage is {}", name_of(pickle_.kind(v)));
    const auto id = pickle_.items(pickle_.items(v)[0]);
    const bool good = id.size() == 5 && pickle_.text(id[0]) == "storage" &&
                      pickle_.kind(id[1]) == Kind::global && pickle_.kind(id[2]) == Kind::text &&
                      pickle_.kind(id[3]) == Kind::text;
    if (!good) refuse("its storage is not (\"storage\", type, key, place, elements)");
    const ElementType type = type_of(pickle_.text(id[1]), dtype);
    const std::uint64_t unit = dtype ? 1 : size_of(type);
    const auto count = static_cast<std::uint64_t>(whole(id[4], "number of elements"));
    const std::string_view key = pickle_.text(id[2]);
    const auto* const entry = archive_.find(fmt::format("{}data/{}", folder_, key));
    if (!entry) refuse("storage {} is missing", quoted(key));
    if (count > entry->size / unit || count * unit != entry->size)
      refuse("storage {} has {} bytes, and {} elements of {} bytes are said to be in it", quoted(key),
             entry->size, count, unit);
    return {type, entry->begin, entry->size / size_of(type)};
  }

  ElementType type_of(std::string_view storage_type, std::optional<Value> dtype) const {
    const bool untyped = storage_type == kUntypedStorage;
    if (untyped != dtype.has_value())
      refuse("storage type {}{}", quoted(storage_type), dtype ? " and a dtype" : "");
    if (dtype && pickle_.kind(*dtype) != Kind::global) refuse("dtype is {}", name_of(pickle_.kind(*dtype)));
    const std::string_view name = dtype ? pickle_.text(*dtype) : storage_type;
    for (const TypeNames& row : kTypes)
      if (name == (dtype ? row.dtype : row.storage)) return row.type;
    refuse("type {} is not read; {} are", quoted(name), all_element_types());
  }

  // Where the elements are, which must be within the storage.
  void place(TensorInfo& info, const std::vector<std::int64_t>& strides, std::uint64_t offset,
             const StoredBlock& block) const {
    unsigned __int128 elements = 1;
    for (const std::int64_t dim : info.shape()) {
      if (dim != 0) elements *= static_cast<std::uint64_t>(dim);
      if (elements > INT64_MAX)
        refuse("the product of shape [{}] exceeds 2^63", fmt::join(info.shape(), ", "));
    }
    const bool empty = std::find(info.shape().begin(), info.shape().end(), 0) != info.shape().end();
    unsigned __int128 reach = empty ? 0 : 1;  // elements from the first to behind the last
    for (std::size_t i = 0; i < strides.size() && !empty && reach <= block.elements; ++i)
      reach += static_cast<unsigned __int128>(info.dims[i] - 1) * static_cast<std::uint64_t>(strides[i]);
    if (offset > block.elements || reach > block.elements - offset)
      refuse("shape [{}] with strides [{}] from element {} on reaches outside its storage of {} elements",
             fmt::join(info.shape(), ", "), fmt::join(strides, ", "), offset, block.elements);
    if (!empty && elements / limits_.tensor_expansion > block.elements)
      refuse("shape [{}] has {} elements, more than {} for each of the {} of its storage",
             fmt::join(info.shape(), ", "), info.elements(), limits_.tensor_expansion, block.elements);
    info.begin = block.begin + offset * size_of(info.type);
    info.end = info.begin + static_cast<std::uint64_t>(reach) * size_of(info.type);
    if (!empty && !is_row_major(info, strides)) info.strides = strides;
  }

  static bool is_row_major(const TensorInfo& info, const std::vector<std::int64_t>& strides) {
    std::int64_t expected = 1;
    for (std::size_t i = strides.size(); i-- > 0;) {
      if (info.dims[i] != 1 && strides[i] != expected) return false;
      expected *= info.dims[i];
    }
    return true;
  }

  const ZipArchive& archive_;
  std::string_view folder_, origin_;
  Limits limits_;
  Pickle pickle_;
  TensorTable table_;
  std::string name_;  // of the tensor that is being read
  std::uint64_t skipped_ = 0;
  std::string skipped_keys_;
};

// All entries are in one folder, which torch.save names after the file. Returns it with its slash.
std::string_view folder_of(const ZipArchive& archive, std::string_view origin) {
  std::string_view folder;
  for (const ZipArchive::Entry& entry : archive.entries()) {
    const std::string_view first = entry.name.substr(0, entry.name.find('/') + 1);
    check(!first.empty() && (folder.empty() || folder == first), Code::torch_file,
          "{}: entry {} is not in the one folder that torch.save makes", origin, quoted(entry.name));
    folder = first;
  }
  check(!archive.find(fmt::format("{}constants.pkl", folder)), Code::torch_file,
        "{}: is a TorchScript program: save its state_dict() with torch.save", origin);
  check(archive.find(fmt::format("{}data.pkl", folder)) != nullptr, Code::torch_file,
        "{}: is a zip archive without a data.pkl, and not what torch.save writes", origin);
  return folder;
}

void check_byte_order(const ZipArchive& archive, std::string_view folder, std::string_view origin) {
  const auto* const entry = archive.find(fmt::format("{}byteorder", folder));
  if (!entry) return;  // before PyTorch 2.1
  archive.check_crc(*entry);
  const std::string_view order = as_text(archive.bytes_of(*entry));
  check(order == "little", Code::torch_file, "{}: byte order {}; only \"little\" is read", origin,
        quoted(order, 40));
}

ZipArchive open_archive(Bytes file, std::string_view origin, const Limits& limits) {
  check(!file.empty(), Code::empty, "{}: file is empty", origin);
  const std::string_view looks = resemblance(as_text(file));
  check(as_text(file).starts_with("PK\3\4"), Code::torch_file,
        "{}: is no zip archive, as torch.save writes since PyTorch 1.6{}; legacy and other formats are not "
        "supported",
        origin, looks);
  return ZipArchive(file, origin, limits);
}

}  // namespace

TensorTable read_torch_file(Bytes file, std::string_view origin, const Limits& limits) {
  const ZipArchive archive = open_archive(file, origin, limits);
  const std::string_view folder = folder_of(archive, origin);
  check_byte_order(archive, folder, origin);
  return StateDictReader(archive, folder, origin, limits).read(file.size());
}

void check_torch_file_sums(Bytes file, std::string_view origin) {
  const ZipArchive archive = open_archive(file, origin, {});
  for (const ZipArchive::Entry& entry : archive.entries()) archive.check_crc(entry);
}

}  // namespace glossa
