#include "checkpoint/llama2c.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"

namespace glossa {
namespace {

constexpr std::uint32_t kMagic = 0x616B3432;  // "ak42"
constexpr std::size_t kLegacyHeader = 7 * 4, kHeader = 256;
constexpr double kRopeTheta = 10000, kNormEpsilon = 1e-5;  // of all models of llama2.c

// The weights of one name, of all layers or of none, one after another in the file.
struct Part {
  std::string name;  // "{}" stands for the layer; "" for the tables of cosines and sines
  bool in_layers = false;
  std::int64_t rows = 0, cols = 0;  // cols 0: a vector
  std::int64_t heads = 0;           // rotary heads among the rows; 0: none

  std::int64_t elements() const { return rows * std::max<std::int64_t>(cols, 1); }
};

// The order of version 0, and that of 1 and 2, which have all vectors first.
std::vector<Part> parts_of(const Llama2cConfig& c, int version) {
  const std::int64_t width = c.hidden_size, inner = c.intermediate_size,
                     keys = c.num_key_value_heads * c.head_dim();
  const auto layer = [](const char* name, std::int64_t rows, std::int64_t cols, std::int64_t heads = 0) {
    return Part{fmt::format("model.layers.{{}}.{}.weight", name), true, rows, cols, heads};
  };
  const Part embedding{"model.embed_tokens.weight", false, c.vocab_size, width};
  const Part norm{"model.norm.weight", false, width};
  const Part attention_norm = layer("input_layernorm", width, 0),
             mlp_norm = layer("post_attention_layernorm", width, 0);
  const std::vector<Part> attention = {layer("self_attn.q_proj", width, width, c.num_attention_heads),
                                       layer("self_attn.k_proj", keys, width, c.num_key_value_heads),
                                       layer("self_attn.v_proj", keys, width),
                                       layer("self_attn.o_proj", width, width)};
  const std::vector<Part> mlp = {layer("mlp.gate_proj", inner, width), layer("mlp.down_proj", width, inner),
                                 layer("mlp.up_proj", inner, width)};
  std::vector<Part> parts;
  const auto add = [&](const std::vector<Part>& group) {
    parts.insert(parts.end(), group.begin(), group.end());
  };
  if (version == 0) {
    add({embedding, attention_norm});
    add(attention);
    add({mlp_norm});
    add(mlp);
    add({norm, {"", false, 2 * c.max_position_embeddings, c.head_dim() / 2}});
  } else {
    add({attention_norm, mlp_norm, norm, embedding});
    add(attention);
    add(mlp);
  }
  if (!c.tie_word_embeddings) parts.push_back({"lm_head.weight", false, c.vocab_size, width});
  return parts;
}

class Reader {
 public:
  Reader(Bytes file, std::string_view origin, const Limits& limits)
      : file_(file), origin_(origin), limits_(limits) {}

  Llama2cLayout read() {
    check(!file_.empty(), Code::empty, "{}: file is empty", origin_);
    read_header();
    const std::vector<Part> parts = parts_of(layout_.config, layout_.version);
    check_size(parts);
    for (const Part& part : parts)
      for (std::int64_t layer = 0; layer < count(part); ++layer) list_tensor(part, layer);
    return std::move(layout_);
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(Code::llama2c, "{}: header: {}", origin_, fmt::format(format, std::forward<Args>(args)...));
  }

  template <class T>
  T take() {
    T value;
    std::memcpy(&value, file_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::int64_t count(const Part& part) const { return part.in_layers ? layout_.config.num_hidden_layers : 1; }

  void read_header() {
    if (file_.size() < kLegacyHeader) refuse("{} bytes are too few", file_.size());
    if (take<std::uint32_t>() == kMagic) {
      layout_.version = take<std::int32_t>();
      if (layout_.version != 1 && layout_.version != 2)
        refuse("version {}; 1 and 2 are read", layout_.version);
      if (file_.size() < kHeader)
        refuse("{} bytes are too few for version {}", file_.size(), layout_.version);
    } else {
      at_ = 0;
    }
    Llama2cConfig& c = layout_.config;
    // Bounds that keep every product of sizes below far within 64 bits, and that no model comes near.
    c.hidden_size = field("dim", 1 << 20);
    c.intermediate_size = field("hidden_dim", 1 << 22);
    c.num_hidden_layers = field("n_layers", 1 << 12);
    c.num_attention_heads = field("n_heads", c.hidden_size);
    c.num_key_value_heads = field("n_kv_heads", c.num_attention_heads);
    read_vocabulary();
    c.max_position_embeddings = field("seq_len", 1 << 24);
    if (c.hidden_size % c.num_attention_heads != 0 || c.head_dim() % 2 != 0)
      refuse("dim {} and n_heads {} do not give heads of an even size", c.hidden_size, c.num_attention_heads);
    if (c.num_attention_heads % c.num_key_value_heads != 0)
      refuse("n_heads {} is no multiple of n_kv_heads {}", c.num_attention_heads, c.num_key_value_heads);
    if (layout_.version > 0) read_rest_of_header();
  }

  std::int64_t field(std::string_view name, std::int64_t most) {
    const std::int64_t value = take<std::int32_t>();
    if (value < 1 || value > most) refuse("{} is {}; 1 to {} are allowed", name, value, most);
    return value;
  }

  void read_vocabulary() {
    const std::int64_t value = take<std::int32_t>();
    const bool negative = value < 0;
    if (negative && layout_.version > 0) refuse("vocab_size is {}", value);
    layout_.config.vocab_size = negative ? -value : value;
    layout_.config.tie_word_embeddings = !negative;
    if (value == 0 || layout_.config.vocab_size > static_cast<std::int64_t>(limits_.vocabulary))
      refuse("vocab_size is {}; up to {} is allowed", value, limits_.vocabulary);
  }

  void read_rest_of_header() {
    const auto shared = take<std::uint8_t>();
    if (shared > 1) refuse("shared_classifier is {}; 0 and 1 are allowed", shared);
    layout_.config.tie_word_embeddings = shared == 1;
    if (layout_.version == 2) group_ = field("group_size", 1 << 20);
    for (; at_ < kHeader; ++at_)
      if (file_[at_] != std::byte{0}) refuse("byte {} is not 0", at_);
  }

  bool is_quantized(const Part& part) const { return layout_.version == 2 && part.cols > 0; }

  void check_size(const std::vector<Part>& parts) const {
    std::uint64_t size = at_;
    for (const Part& part : parts) {
      const auto elements = static_cast<std::uint64_t>(part.elements());
      std::uint64_t bytes = 4 * elements;
      if (is_quantized(part)) {
        if (part.elements() % group_ != 0)
          refuse("group_size {} does not divide the {} elements of {}", group_, elements, part.name);
        bytes = elements + 4 * (elements / static_cast<std::uint64_t>(group_));
      }
      size += static_cast<std::uint64_t>(count(part)) * bytes;
    }
    check(file_.size() == size, Code::llama2c, "{}: {} bytes, and a model of its header (version {}) has {}",
          origin_, file_.size(), layout_.version, size);
  }

  void list_tensor(const Part& part, std::int64_t layer) {
    const auto elements = static_cast<std::size_t>(part.elements());
    if (!part.name.empty())
      layout_.tensors.push_back({fmt::format(fmt::runtime(part.name), layer),
                                 part.cols > 0 ? Shape{part.rows, part.cols} : Shape{part.rows}, part.heads,
                                 at_, is_quantized(part) ? group_ : 0});
    at_ += is_quantized(part) ? elements + 4 * (elements / static_cast<std::size_t>(group_)) : 4 * elements;
  }

  Bytes file_;
  std::string_view origin_;
  const Limits& limits_;
  std::size_t at_ = 0;
  std::int64_t group_ = 0;  // of version 2: elements that share a scale
  Llama2cLayout layout_;
};

// All int8 of a tensor come first, then the scales. A group may reach over the end of a row.
void dequantize(Bytes bytes, std::size_t elements, std::size_t group, std::size_t first,
                std::span<float> to) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    float scale;
    std::memcpy(&scale, bytes.data() + elements + (first + i) / group * 4, sizeof scale);
    to[i] = scale * static_cast<float>(static_cast<std::int8_t>(bytes[first + i]));
  }
}

Tensor read_tensor(Bytes file, const Llama2cTensor& info) {
  Tensor tensor = Tensor::empty(info.shape);
  const Bytes bytes = file.subspan(info.begin);
  const std::int64_t rows = info.shape[0];
  const auto cols = static_cast<std::size_t>(info.shape.rank() > 1 ? info.shape[1] : 1);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t from = info.heads > 0 ? interleaved_row(row, rows / info.heads) : row;
    float* const to = tensor.data<float>() + static_cast<std::size_t>(row) * cols;
    const std::size_t first = static_cast<std::size_t>(from) * cols;
    if (info.group > 0)
      dequantize(bytes, static_cast<std::size_t>(info.shape.elements()), static_cast<std::size_t>(info.group),
                 first, {to, cols});
    else
      std::memcpy(to, bytes.data() + 4 * first, 4 * cols);
  }
  return tensor;
}

// Of each position the cosines, then of each the sines, of the angles of the pairs of a head's dimensions.
std::vector<float> rotary_tables(const Llama2cConfig& c) {
  const std::int64_t half = c.head_dim() / 2;
  std::vector<float> tables;
  for (const bool sine : {false, true})
    for (std::int64_t position = 0; position < c.max_position_embeddings; ++position)
      for (std::int64_t i = 0; i < half; ++i) {
        const double angle = static_cast<double>(position) /
                             std::pow(kRopeTheta, static_cast<double>(i) / static_cast<double>(half));
        tables.push_back(static_cast<float>(sine ? std::sin(angle) : std::cos(angle)));
      }
  return tables;
}

void write_rows(const std::function<void(Bytes)>& write, const Part& part, const std::string& name,
                const Tensor& tensor) {
  const Shape expected = part.cols > 0 ? Shape{part.rows, part.cols} : Shape{part.rows};
  check(tensor.shape() == expected, Code::weights, "tensor {} has shape {}, and {} is needed", quoted(name),
        to_string(tensor.shape()), to_string(expected));
  const Tensor dense = tensor.to(DType::f32).contiguous();
  const auto all = std::as_bytes(dense.span<float>());
  if (part.heads == 0) return write(all);
  const auto row_bytes = static_cast<std::size_t>(4 * part.cols);
  std::vector<std::byte> turned(all.size());
  for (std::int64_t row = 0; row < part.rows; ++row)
    std::memcpy(
        turned.data() + static_cast<std::size_t>(interleaved_row(row, part.rows / part.heads)) * row_bytes,
        all.data() + static_cast<std::size_t>(row) * row_bytes, row_bytes);
  write(turned);
}

}  // namespace

std::int64_t interleaved_row(std::int64_t row, std::int64_t head_dim) {
  const std::int64_t half = head_dim / 2, in_head = row % head_dim;
  return row - in_head + 2 * (in_head % half) + in_head / half;
}

OrderedJson Llama2cConfig::to_json() const {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", vocab_size},
          {"hidden_size", hidden_size},
          {"intermediate_size", intermediate_size},
          {"num_hidden_layers", num_hidden_layers},
          {"num_attention_heads", num_attention_heads},
          {"num_key_value_heads", num_key_value_heads},
          {"head_dim", head_dim()},
          {"hidden_act", "silu"},
          {"max_position_embeddings", max_position_embeddings},
          {"rms_norm_eps", kNormEpsilon},
          {"rope_theta", kRopeTheta},
          {"attention_bias", false},
          {"mlp_bias", false},
          {"tie_word_embeddings", tie_word_embeddings},
          {"bos_token_id", 1},
          {"eos_token_id", 2}};
}

Llama2cLayout parse_llama2c(Bytes file, std::string_view origin, const Limits& limits) {
  return Reader(file, origin, limits).read();
}

Llama2cModel read_llama2c(Bytes file, std::string_view origin, const Limits& limits) {
  const Llama2cLayout layout = parse_llama2c(file, origin, limits);
  Llama2cModel model{layout.config, layout.version, {}};
  for (const Llama2cTensor& info : layout.tensors)
    model.tensors.emplace_back(info.name, read_tensor(file, info));
  return model;
}

bool looks_like_llama2c(Bytes file) {
  std::int32_t fields[7];
  if (file.size() < sizeof fields) return false;
  std::memcpy(fields, file.data(), sizeof fields);
  if (static_cast<std::uint32_t>(fields[0]) == kMagic) return true;
  // dim, hidden_dim, n_layers, n_heads, n_kv_heads; no text, and no header of another format, has such.
  return fields[0] > 0 && fields[0] <= 1 << 20 && fields[1] > 0 && fields[1] <= 1 << 22 && fields[2] > 0 &&
         fields[2] <= 1 << 12 && fields[3] > 0 && fields[3] <= fields[0] && fields[4] > 0 &&
         fields[4] <= fields[3];
}

Llama2cFile::Llama2cFile(const fs::path& path, const Limits& limits)
    : file_(path), layout_(parse_llama2c(file_.bytes(), shown(path), limits)) {}

Tensor Llama2cFile::find(const std::string& name) const {
  for (const Llama2cTensor& info : layout_.tensors)
    if (info.name == name) return read_tensor(file_.bytes(), info);
  return {};
}

void write_llama2c(const std::function<void(Bytes)>& write, const Llama2cConfig& config,
                   const NamedTensors& tensors) {
  write_llama2c(write, config, [&](const std::string& name) {
    const auto found =
        std::find_if(tensors.begin(), tensors.end(), [&](const auto& named) { return named.first == name; });
    return found == tensors.end() ? Tensor() : found->second;
  });
}

void write_llama2c(const std::function<void(Bytes)>& write, const Llama2cConfig& c,
                   const std::function<Tensor(const std::string&)>& find) {
  std::int32_t header[7];
  const std::int64_t fields[7] = {c.hidden_size,
                                  c.intermediate_size,
                                  c.num_hidden_layers,
                                  c.num_attention_heads,
                                  c.num_key_value_heads,
                                  c.tie_word_embeddings ? c.vocab_size : -c.vocab_size,
                                  c.max_position_embeddings};
  std::copy(std::begin(fields), std::end(fields), header);
  write(std::as_bytes(std::span(header)));
  for (const Part& part : parts_of(c, 0)) {
    if (part.name.empty()) {
      const std::vector<float> tables = rotary_tables(c);
      write(std::as_bytes(std::span(tables)));
      continue;
    }
    for (std::int64_t layer = 0; layer < (part.in_layers ? c.num_hidden_layers : 1); ++layer) {
      const std::string name = fmt::format(fmt::runtime(part.name), layer);
      const Tensor tensor = find(name);
      if (!tensor) fail(Code::weights, "no tensor {} to write", quoted(name));
      write_rows(write, part, name, tensor);
    }
  }
}

Llama2cTokenizer read_llama2c_tokenizer(Bytes file, std::string_view origin, const Limits& limits) {
  check(!file.empty(), Code::empty, "{}: file is empty", origin);
  std::size_t at = 0;
  const auto take = [&]<class T>(T value) {
    check(file.size() - at >= sizeof value, Code::llama2c, "{}: byte {}: cut short", origin, at);
    std::memcpy(&value, file.data() + at, sizeof value);
    at += sizeof value;
    return value;
  };
  constexpr std::int32_t kMostBytes = 1 << 16;
  const std::int32_t most = take(std::int32_t{});
  check(most >= 1 && most <= kMostBytes, Code::llama2c, "{}: max_token_length is {}; 1 to {} are allowed",
        origin, most, kMostBytes);
  Llama2cTokenizer tokenizer;
  while (at < file.size()) {
    check(tokenizer.pieces.size() < limits.vocabulary, Code::count, "{}: more than the {} tokens allowed",
          origin, limits.vocabulary);
    const std::size_t begin = at;
    const float score = take(float{});
    check(std::isfinite(score), Code::llama2c, "{}: byte {}: score {} of token {}", origin, begin, score,
          tokenizer.pieces.size());
    const std::int32_t length = take(std::int32_t{});
    check(length >= 0 && length <= most && static_cast<std::size_t>(length) <= file.size() - at,
          Code::llama2c, "{}: byte {}: token {} has {} bytes; at most {} are allowed, and {} are left",
          origin, begin, tokenizer.pieces.size(), length, most, file.size() - at);
    tokenizer.pieces.emplace_back(as_text(file.subspan(at, static_cast<std::size_t>(length))));
    tokenizer.scores.push_back(score);
    at += static_cast<std::size_t>(length);
  }
  check(!tokenizer.pieces.empty(), Code::llama2c, "{}: holds no tokens", origin);
  return tokenizer;
}

void write_llama2c_tokenizer(const std::function<void(Bytes)>& write, const Llama2cTokenizer& tokenizer) {
  std::string out;
  const auto put = [&](auto value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); };
  std::size_t longest = 1;
  for (const std::string& piece : tokenizer.pieces) longest = std::max(longest, piece.size());
  put(static_cast<std::int32_t>(longest));
  for (std::size_t i = 0; i < tokenizer.pieces.size(); ++i) {
    put(tokenizer.scores[i]);
    put(static_cast<std::int32_t>(tokenizer.pieces[i].size()));
    out += tokenizer.pieces[i];
  }
  write(as_bytes(out));
}

}  // namespace glossa
