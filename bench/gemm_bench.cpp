// The matrix product as a share of the peak and of memory's speed measured in the same run, on the shapes of training and
// decoding, beside oneDNN where that is installed. The two run in turns; figures are medians.
//
//   cmake -B build/release -DGLOSSA_BENCH=ON && ninja -C build/release gemm_bench && build/release/bench/gemm_bench
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "backend/cpu/cpu_features.h"
#include "backend/cpu/gemm.h"
#include "base/parallel.h"
#include "tensor/storage.h"

#ifdef GLOSSA_BENCH_ONEDNN
#include <dnnl.hpp>
#endif

namespace {

using namespace glossa;
using cpu::InstructionSet;

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? NAN : values[values.size() / 2];
}

class Matrix {
 public:
  explicit Matrix(std::int64_t elements) : storage_(allocate(static_cast<std::size_t>(elements) * sizeof(float), {})) {
    for (std::int64_t i = 0; i < elements; ++i) data()[i] = static_cast<float>(i % 7) * 0.125f - 0.375f;
  }
  float* data() const { return static_cast<float*>(storage_->data); }

 private:
  std::shared_ptr<Storage> storage_;
};

struct Shape {
  std::int64_t m, n, k;
  double operations() const { return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k); }
};

// Which of a linear layer's products: y = x W^T, dx = dy W, dW = dy^T x; or y = x W^T with W packed once.
enum class Product { forward, dx, dweight, packed };
constexpr const char* kNames[] = {"y = x W^T", "dx = dy W", "dW = dy^T x", "packed"};

cpu::MatrixProduct product_of(Product which, const Shape& s, const Matrix& a, const Matrix& b, const Matrix& c, bool bf16) {
  cpu::MatrixProduct p{.m = s.m, .n = s.n, .k = s.k};
  p.transpose_a = which == Product::dweight;
  p.transpose_b = which == Product::forward || which == Product::packed;
  p.a = a.data(), p.lda = p.transpose_a ? s.m : s.k;
  p.b = b.data(), p.ldb = p.transpose_b ? s.k : s.n;
  p.c = c.data(), p.ldc = s.n;
  p.bf16 = bf16;
  return p;
}

#ifdef GLOSSA_BENCH_ONEDNN
// oneDNN on the same matrices. Of a packed product its weights are in the layout that it chooses. In bf16 it takes bf16
// matrices, and what converting them costs is not counted.
class OneDnn {
 public:
  OneDnn(Product which, const Shape& s, bool bf16) : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using Memory = dnnl::memory;
    using Tag = Memory::format_tag;
    const auto type = bf16 ? Memory::data_type::bf16 : Memory::data_type::f32;
    const bool by_columns = which == Product::forward;
    const Memory::desc a({s.m, s.k}, type, which == Product::dweight ? Tag::ba : Tag::ab);
    const Memory::desc b({s.k, s.n}, type, which == Product::packed ? Tag::any : by_columns ? Tag::ba : Tag::ab);
    const Memory::desc c({s.m, s.n}, Memory::data_type::f32, Tag::ab);
    const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), engine_);
    product_ = dnnl::matmul(description);
    arguments_ = {{DNNL_ARG_SRC, Memory(description.src_desc(), engine_)},
                  {DNNL_ARG_WEIGHTS, Memory(description.weights_desc(), engine_)},
                  {DNNL_ARG_DST, Memory(description.dst_desc(), engine_)}};
    for (auto& [index, memory] : arguments_)  // 0x3c3c: a small number in both types
      std::fill_n(static_cast<std::uint16_t*>(memory.get_data_handle()), memory.get_desc().get_size() / 2, std::uint16_t{0x3c3c});
  }
  void operator()() {
    product_.execute(stream_, arguments_);
    stream_.wait();
  }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::matmul product_;
  std::unordered_map<int, dnnl::memory> arguments_;
};
#else
struct OneDnn {
  OneDnn(Product, const Shape&, bool) {}
};
#endif

struct Case {
  std::string what;
  Product product;
  Shape shape;
};

class Bench {
 public:
  explicit Bench(bool bf16) : bf16_(bf16) {}

  void operator()(const Case& c) const {
    const Shape& s = c.shape;
    const Matrix a(s.m * s.k), b(s.k * s.n), out(s.m * s.n);
    cpu::MatrixProduct p = product_of(c.product, s, a, b, out, bf16_);
    cpu::PackedB packed;
    const Matrix memory(c.product == Product::packed ? static_cast<std::int64_t>(cpu::packed_b_bytes(s.k, s.n, bf16_) / sizeof(float)) : 0);
    if (c.product == Product::packed) {
      packed = cpu::pack_b(p.b, p.ldb, true, s.k, s.n, bf16_, memory.data());
      p.packed = &packed;
    }
    [[maybe_unused]] OneDnn peer(c.product, s, bf16_);
    const int runs = std::clamp(static_cast<int>(2e10 / s.operations()), 5, 2000);
    std::vector<double> ours, theirs, peaks;
    for (int round = 0; round < 5; ++round) {
      peaks.push_back(cpu::measure_peak_flops(bf16_, thread_count()));
      time(ours, runs / 5 + 1, [&] { cpu::gemm(p); });
#ifdef GLOSSA_BENCH_ONEDNN
      time(theirs, runs / 5 + 1, [&] { peer(); });
#endif
    }
    const double peak = median(peaks), time = median(ours), bytes = static_cast<double>(s.k * s.n) * (bf16_ ? 2 : 4);
    fmt::print("| {} | {} | {} x {} x {} | {:.0f} | {:.0f} % | {} | {} |\n", c.what, kNames[static_cast<int>(c.product)], s.m, s.n, s.k,
               s.operations() / time / 1e9, 100 * s.operations() / time / peak,
               c.product == Product::packed ? fmt::format("{:.0f}", bytes / time / 1e9) : "",
               theirs.empty() ? "" : fmt::format("{:.2f}x", median(theirs) / time));
    std::fflush(stdout);
  }

 private:
  template <class F>
  static void time(std::vector<double>& times, int runs, F&& f) {
    f();
    for (int i = 0; i < runs; ++i) {
      const double begin = seconds();
      f();
      times.push_back(seconds() - begin);
    }
  }

  bool bf16_;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  const auto linear = [&](const std::string& what, std::int64_t tokens, std::int64_t in, std::int64_t out) {
    all.push_back({what, Product::forward, {tokens, out, in}});
    all.push_back({what, Product::dx, {tokens, in, out}});
    all.push_back({what, Product::dweight, {out, in, tokens}});
  };
  linear("512: q, k, v", 1536, 512, 1536);
  linear("512: attention output", 1536, 512, 512);
  linear("512: feed-forward 1", 1536, 512, 2048);
  linear("512: feed-forward 2", 1536, 2048, 512);
  linear("512: head", 416, 512, 10000);  // in the blocks of rows that cross entropy takes
  linear("256: q, k, v", 2048, 256, 768);
  linear("256: attention output", 2048, 256, 256);
  linear("256: feed-forward 1", 2048, 256, 1024);
  linear("256: feed-forward 2", 2048, 1024, 256);
  for (const std::int64_t m : {1, 4, 8, 32, 128}) {
    all.push_back({"decoding: q, k, v", Product::packed, {m, 1536, 512}});
    all.push_back({"decoding: feed-forward 2", Product::packed, {m, 512, 2048}});
    all.push_back({"decoding: head", Product::packed, {m, 10000, 512}});
  }
  return all;
}

void run(bool bf16) {
  fmt::print("\n{} with {}, {} threads: peak {:.0f} GFLOP/s, memory {:.1f} GB/s\n\n", bf16 ? "bf16" : "f32",
             cpu::name_of(cpu::instruction_set()), thread_count(), cpu::measure_peak_flops(bf16, thread_count()) / 1e9,
             cpu::measure_read_bandwidth(thread_count()) / 1e9);
  fmt::print("| layer | product | m x n x k | GFLOP/s | of peak | GB/s of packed weights | to oneDNN |\n|---|---|---|---|---|---|---|\n");
  const Bench bench(bf16);
  for (const Case& c : cases()) bench(c);
}

}  // namespace

int main() {
  const auto set = cpu::instruction_set();
#ifdef GLOSSA_BENCH_ONEDNN
  if (set == InstructionSet::avx2) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
#endif
  run(false);
  if (set == InstructionSet::avx512_bf16) run(true);
}
