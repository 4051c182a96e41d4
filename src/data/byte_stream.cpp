#include "data/byte_stream.h"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace glossa {
namespace {

constexpr std::size_t kBlock = 64 << 10;
constexpr std::uint64_t kFreely = 64u << 20;  // inflated bytes before their ratio is asked for

bool begins_with(Bytes bytes, std::string_view magic) {
  return as_text(bytes).starts_with(magic);
}

Compression compression_of(Bytes bytes) {
  if (begins_with(bytes, "\x1F\x8B\x08")) return Compression::gzip;
  if (begins_with(bytes, "\x28\xB5\x2F\xFD")) return Compression::zstd;
  // A skippable frame: 0x184D2A50 to 0x184D2A5F in little-endian order.
  if (bytes.size() >= 4 && (bytes[0] & std::byte{0xF0}) == std::byte{0x50} &&
      begins_with(bytes.subspan(1), "\x2A\x4D\x18"))
    return Compression::zstd;
  return Compression::none;
}

// The bytes as they come, a block at a time.
class Input {
 public:
  using Read = std::function<std::size_t(std::span<std::byte>)>;
  explicit Input(Read read) : read_(std::move(read)), block_(kBlock) {}

  Bytes block() const { return {block_.data() + begin_, end_ - begin_}; }
  // Makes block() non-empty; false at the end.
  bool fill() {
    if (begin_ < end_) return true;
    begin_ = 0;
    end_ = read_(block_);
    return end_ > 0;
  }
  // At least `wanted` bytes in block(), or a line, or all there are: only before anything was used.
  void peek(std::size_t wanted) {
    while (end_ < wanted && as_text(block()).find('\n') == std::string_view::npos) {
      const std::size_t n = read_(std::span(block_).subspan(end_));
      if (n == 0) return;
      end_ += n;
    }
  }
  void use(std::size_t bytes) { begin_ += bytes, used_ += bytes; }
  std::uint64_t used() const { return used_; }

 private:
  Read read_;
  std::vector<std::byte> block_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t used_ = 0;
};

class Plain {
 public:
  std::size_t read(Input& input, const std::string&, std::span<std::byte> into) {
    if (!input.fill()) return 0;
    const std::size_t n = std::min(into.size(), input.block().size());
    std::memcpy(into.data(), input.block().data(), n);
    input.use(n);
    return n;
  }
};

class Gzip {
 public:
  Gzip() : stream_(new z_stream{}, &release) {
    const int status =
        inflateInit2(stream_.get(), 16 + MAX_WBITS);  // 16: gzip's header and checksum, not zlib's
    check(status == Z_OK, Code::memory, "zlib cannot begin: status {}", status);
  }

  std::size_t read(Input& input, const std::string& name, std::span<std::byte> into) {
    std::size_t done = 0;
    while (done == 0) {
      if (!input.fill()) {
        check(between_, Code::compressed, "{}: byte {}: the gzip stream is cut off", name, input.used());
        return 0;
      }
      if (between_ && !begin_member(input, name)) return 0;
      done = inflate_some(input, name, into);
    }
    return done;
  }

 private:
  static void release(z_stream* stream) {
    inflateEnd(stream);
    delete stream;
  }

  // After a member: another one, or zeros to the end, with which tapes and some programs fill up the last
  // block.
  bool begin_member(Input& input, const std::string& name) {
    if (!first_ && input.block()[0] == std::byte{0}) {
      while (input.fill()) {
        const Bytes rest = input.block();
        const auto other =
            std::find_if(rest.begin(), rest.end(), [](std::byte b) { return b != std::byte{0}; });
        input.use(static_cast<std::size_t>(other - rest.begin()));
        check(other == rest.end(), Code::compressed, "{}: byte {}: rubbish after the gzip stream", name,
              input.used());
      }
      return false;
    }
    check(first_ || input.block()[0] == std::byte{0x1F}, Code::compressed,
          "{}: byte {}: rubbish after the gzip stream", name, input.used());
    inflateReset(stream_.get());
    first_ = between_ = false;
    return true;
  }

  std::size_t inflate_some(Input& input, const std::string& name, std::span<std::byte> into) {
    const Bytes from = input.block();
    const auto most = static_cast<uInt>(std::min<std::size_t>(into.size(), 1u << 30));
    // zlib does not write through next_in, whatever its type says.
    stream_->next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(from.data()));
    stream_->avail_in = static_cast<uInt>(from.size());
    stream_->next_out = reinterpret_cast<Bytef*>(into.data());
    stream_->avail_out = most;
    const int status = inflate(stream_.get(), Z_NO_FLUSH);
    input.use(from.size() - stream_->avail_in);
    check(status != Z_MEM_ERROR, Code::memory, "{}: no memory to inflate with", name);
    check(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR, Code::compressed,
          "{}: byte {}: the gzip stream is damaged: {}", name, input.used(),
          stream_->msg ? stream_->msg : "it needs a dictionary");
    between_ = status == Z_STREAM_END;
    return most - stream_->avail_out;
  }

  std::unique_ptr<z_stream, decltype(&release)> stream_;
  bool between_ = true, first_ = true;  // between members; before the first
};

class Zstd {
 public:
  Zstd() : context_(ZSTD_createDCtx(), &ZSTD_freeDCtx) {
    check(context_ != nullptr, Code::memory, "no memory for Zstandard");
  }

  std::size_t read(Input& input, const std::string& name, std::span<std::byte> into) {
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    while (out.pos == 0) {
      // What is left within the context comes out without further input.
      if (!full_ && !input.fill()) {
        check(between_, Code::compressed, "{}: byte {}: the Zstandard stream is cut off", name, input.used());
        return 0;
      }
      ZSTD_inBuffer in{input.block().data(), input.block().size(), 0};
      const std::size_t status = ZSTD_decompressStream(context_.get(), &out, &in);
      input.use(in.pos);
      check(!ZSTD_isError(status), Code::compressed, "{}: byte {}: the Zstandard stream is damaged: {}", name,
            input.used(), ZSTD_getErrorName(status));
      between_ = status == 0;
      full_ = !between_ && out.pos == out.size;
    }
    return out.pos;
  }

 private:
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  bool between_ = true, full_ = false;
};

FileHandle standard_input() {
  const int copy = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);  // a copy, since a handle closes what it holds
  check(copy >= 0, Code::open, "standard input: opening: {}", std::strerror(errno));
  return FileHandle::adopt(copy, "standard input");
}

}  // namespace

std::string_view unreadable_format(Bytes beginning) {
  using namespace std::string_view_literals;
  struct Known {
    std::string_view magic, name;
  };
  static constexpr std::array kKnown{Known{"PK\x03\x04"sv, "zip"}, Known{"PK\x05\x06"sv, "zip"},
                                     Known{"\xFD\x37zXZ\0"sv, "xz"}, Known{"7z\xBC\xAF\x27\x1C"sv, "7z"}};
  for (const Known& k : kKnown)
    if (begins_with(beginning, k.magic)) return k.name;
  // "BZh", the level, and the six digits of pi with which the first block begins.
  if (begins_with(beginning, "BZh") && beginning.size() >= 10 && begins_with(beginning.subspan(4), "1AY&SY"))
    return "bzip2";
  return "";
}

struct ByteStream::State {
  std::string name;
  Input input;
  double ratio;
  Compression compression = Compression::none;
  std::variant<Plain, Gzip, Zstd> decoder = {};
  std::uint64_t inflated = 0;

  State(std::string the_name, Input the_input, const Limits& limits)
      : name(std::move(the_name)), input(std::move(the_input)), ratio(limits.inflate_ratio) {
    input.peek(16);  // no format's mark has a line feed in it, and who types a short line wants to be heard
    const std::string_view format = unreadable_format(input.block());
    check(format.empty(), Code::text_data,
          "{}: looks like {}, and text is read plain, as gzip or as Zstandard", name, format);
    compression = compression_of(input.block());
    if (compression == Compression::gzip) decoder.emplace<Gzip>();
    if (compression == Compression::zstd) decoder.emplace<Zstd>();
  }
};

ByteStream::ByteStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
ByteStream::ByteStream(ByteStream&&) noexcept = default;
ByteStream& ByteStream::operator=(ByteStream&&) noexcept = default;
ByteStream::~ByteStream() = default;

ByteStream ByteStream::open(const fs::path& path, const Limits& limits) {
  const bool piped = path == "-";
  // Shared, since a function that is kept must be copyable.
  auto file = std::make_shared<FileHandle>(piped ? standard_input() : FileHandle::open_regular(path));
  Input input([file](std::span<std::byte> into) { return file->read_some(into); });
  return ByteStream(
      std::make_unique<State>(piped ? "standard input" : shown(path), std::move(input), limits));
}

void keep_standard_input(const fs::path& file) {
  const FileHandle input = standard_input();
  AtomicFile output(file);
  std::vector<std::byte> block(kBlock);
  while (const std::size_t n = input.read_some(block)) output.write({block.data(), n});
  output.commit();
}

ByteStream ByteStream::of_bytes(Bytes bytes, std::string name, const Limits& limits) {
  Input input([bytes](std::span<std::byte> into) mutable {
    const std::size_t n = std::min(into.size(), bytes.size());
    std::copy_n(bytes.begin(), n, into.begin());
    bytes = bytes.subspan(n);
    return n;
  });
  return ByteStream(std::make_unique<State>(std::move(name), std::move(input), limits));
}

std::size_t ByteStream::read(std::span<std::byte> into) {
  State& s = *state_;
  const std::size_t n =
      std::visit([&](auto& decoder) { return decoder.read(s.input, s.name, into); }, s.decoder);
  s.inflated += n;
  check(s.inflated <= kFreely ||
            static_cast<double>(s.inflated) <= s.ratio * static_cast<double>(s.input.used()),
        Code::size, "{}: byte {}: inflates to more than {} times its size", s.name, s.input.used(), s.ratio);
  return n;
}

const std::string& ByteStream::name() const {
  return state_->name;
}
Compression ByteStream::compression() const {
  return state_->compression;
}
std::uint64_t ByteStream::bytes_read() const {
  return state_->input.used();
}

}  // namespace glossa
