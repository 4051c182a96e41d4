// The products with quantised weights in plain loops, for processors without the vectors below.
#include <algorithm>
#include <cmath>

#include "backend/cpu/quantised_kernels.h"

namespace glossa::cpu {
namespace {

// The numbers of a column of a panel, in the order of k.
void unpack(const BlockForm& form, const std::uint8_t* panel, std::int64_t column, std::uint8_t (&u)[kGroupLength]) {
  std::fill_n(u, kGroupLength, std::uint8_t{0});
  for (int to = 0; to < form.bits;) {
    const int width = wider_plane(form.bits - to);
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const ChunkPlace at = place_of(width, chunk, to);
      for (std::int64_t i = 0; i < 4; ++i)
        u[chunk * 4 + i] |= static_cast<std::uint8_t>(panel[at.vector * kVector + column * 4 + i] >> at.from << to & at.mask());
    }
    panel += width * kVector, to += width;
  }
}

// C [rows, 16] = A panel.
void multiply_panel(const BlockForm& form, const QuantisedRows& a, std::int64_t rows, const char* band, std::int64_t panel, float* c,
                    std::int64_t ldc) {
  const std::int64_t groups = a.k / kGroupLength;
  const float unit = reinterpret_cast<const BandHeader*>(band)->unit[panel];
  for (std::int64_t r = 0; r < rows; ++r) {
    const char* at = band + sizeof(BandHeader);
    float sums[kColumns] = {};
    for (std::int64_t g = 0; g < groups; ++g, at += form.group_bytes()) {
      const std::int8_t* q = a.q + r * a.k + g * kGroupLength;
      const float scale = a.scale[r * groups + g];
      const std::int32_t* sum = a.sum + (r * groups + g) * 2;
      for (std::int64_t column = 0; column < kColumns; ++column) {
        std::uint8_t u[kGroupLength];
        unpack(form, reinterpret_cast<const std::uint8_t*>(at + form.numbers(panel)), column, u);
        for (std::int64_t s = 0; s < form.sets(); ++s) {
          const std::int32_t total = form.halves ? sum[s] : sum[0] + sum[1];
          std::int32_t dot = -form.zero * total;
          for (std::int64_t i = s * 16; i < (form.halves ? s * 16 + 16 : kGroupLength); ++i) dot += u[i] * q[i];
          const auto* scales = reinterpret_cast<const float16*>(at + form.scales(s, panel));
          sums[column] += static_cast<float>(dot) * (static_cast<float>(scales[column]) * scale);
          if (form.minima) {
            const auto* minima = reinterpret_cast<const float16*>(at + form.minima_at(s, panel));
            sums[column] -= static_cast<float>(minima[column]) * (scale * static_cast<float>(total));
          }
        }
      }
    }
    for (std::int64_t column = 0; column < kColumns; ++column) c[r * ldc + column] = unit * sums[column];
  }
}

void multiply(const BlockForm& form, const PairProduct& p) {
  for (std::int64_t panel = 0; panel < 2 * p.count; ++panel) {
    const std::int64_t at = 2 * p.first + panel;
    multiply_panel(form, p.a, p.rows, p.bands + at / kBandPanels * p.band_bytes, at % kBandPanels, p.c + panel * kColumns, p.ldc);
  }
}

void quantise(const float* x, std::int64_t k, std::int8_t* q, float* scale, std::int32_t* sum) {
  for (std::int64_t g = 0; g < k / kGroupLength; ++g, x += kGroupLength, q += kGroupLength) {
    float most = 0;
    for (int i = 0; i < kGroupLength; ++i) most = std::isnan(x[i]) || std::isnan(most) ? NAN : std::max(most, std::fabs(x[i]));
    scale[g] = most / 127;
    const float inverse = most > 0 && std::isfinite(most) ? 127 / most : 0;
    sum[2 * g] = sum[2 * g + 1] = 0;
    for (int i = 0; i < kGroupLength; ++i) {
      q[i] = std::isfinite(most) ? static_cast<std::int8_t>(std::nearbyint(x[i] * inverse)) : 1;
      sum[2 * g + i / 16] += q[i];
    }
  }
}

}  // namespace

const BlockKernels& portable_block_kernels() {
  static constexpr BlockKernels kKernels{multiply, quantise};
  return kKernels;
}

}  // namespace glossa::cpu
