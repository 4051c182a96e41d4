// score.h -- what every metric gives: a number with its name and signature, and the texts made of them.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace glossa {

// The release of sacreBLEU whose numbers and signatures these are.
inline constexpr std::string_view kSacrebleuVersion = "2.6.0";

// A number with `digits` decimals as Python's f"{x:.2f}" has them: the exact value, rounded half to even.
std::string fixed(double x, int digits);

struct MetricScore {
  std::string name;     // BLEU, chrF2, chrF2++, TER
  double value = 0;     // in percent
  std::string verbose;  // what sacreBLEU prints behind the number, or ""
};

// Mean and half the width of the 95 % interval of resampled scores.
struct Confidence {
  double mean = 0, half_width = 0;
};

struct SignatureField {
  std::string name, short_name, value;
};

// How scores were resampled, as signatures tell it.
struct Resampling {
  std::optional<int> bootstrap = {}, randomization = {};  // resamples, trials
  std::uint64_t seed = 12345;                             // sacreBLEU's
};

struct Signature {
  std::vector<SignatureField> fields;
  std::string text(bool short_names = false) const;  // name:value|name:value|...
};

// The fields of sacreBLEU in its order; `reference_count` -1 if segments have different numbers of
// references.
Signature make_signature(int reference_count, const std::optional<Resampling>& resampling,
                         std::vector<SignatureField> of_metric);

// The references of each segment; segments may have different numbers of them, but each has at least one.
// Views: the texts must outlive it.
class References {
 public:
  References() = default;
  // One reference for each segment.
  explicit References(std::span<const std::string> lines);
  // Streams of equal length, as files hold them: streams[r][i] is the r-th reference of segment i.
  explicit References(std::span<const std::vector<std::string_view>> streams);
  void add_segment(std::span<const std::string_view> references);

  std::size_t size() const { return starts_.size() - 1; }
  std::span<const std::string_view> operator[](std::size_t segment) const {
    return std::span(all_).subspan(starts_[segment], starts_[segment + 1] - starts_[segment]);
  }
  int count() const;  // of references in every segment, or -1 if it varies

 private:
  std::vector<std::string_view> all_;
  std::vector<std::size_t> starts_ = {0};
};

}  // namespace glossa
