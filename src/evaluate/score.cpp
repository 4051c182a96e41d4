#include "evaluate/score.h"

#include <charconv>

#include "base/error.h"

namespace glossa {

std::string fixed(double x, int digits) {
  std::string out(static_cast<std::size_t>(digits) + 400, '\0');  // the largest double has 309 digits
  const auto [end, error] =
      std::to_chars(out.data(), out.data() + out.size(), x, std::chars_format::fixed, digits);
  check(error == std::errc(), Code::internal, "{} does not fit its text", x);
  out.resize(static_cast<std::size_t>(end - out.data()));
  return out;
}

std::string Signature::text(bool short_names) const {
  std::string out;
  for (const SignatureField& field : fields) {
    if (!out.empty()) out += '|';
    out += (short_names ? field.short_name : field.name) + ':' + field.value;
  }
  return out;
}

Signature make_signature(int reference_count, const std::optional<Resampling>& resampling,
                         std::vector<SignatureField> of_metric) {
  Signature signature;
  auto& fields = signature.fields;
  fields.push_back({"nrefs", "#", reference_count < 0 ? "var" : std::to_string(reference_count)});
  if (resampling) {
    if (resampling->bootstrap) fields.push_back({"bs", "bs", std::to_string(*resampling->bootstrap)});
    if (resampling->randomization) fields.push_back({"ar", "ar", std::to_string(*resampling->randomization)});
    fields.push_back({"seed", "rs", std::to_string(resampling->seed)});
  }
  for (SignatureField& field : of_metric) fields.push_back(std::move(field));
  fields.push_back({"version", "v", std::string(kSacrebleuVersion)});
  return signature;
}

References::References(std::span<const std::string> lines) {
  for (const std::string& line : lines) {
    all_.push_back(line);
    starts_.push_back(all_.size());
  }
}

References::References(std::span<const std::vector<std::string_view>> streams) {
  check(!streams.empty(), Code::usage, "no references to score against");
  for (const auto& stream : streams)
    check(stream.size() == streams[0].size(), Code::line_counts, "references of {} and {} segments",
          streams[0].size(), stream.size());
  for (std::size_t i = 0; i < streams[0].size(); ++i) {
    for (const auto& stream : streams) all_.push_back(stream[i]);
    starts_.push_back(all_.size());
  }
}

void References::add_segment(std::span<const std::string_view> references) {
  check(!references.empty(), Code::usage, "segment {} has no reference", size() + 1);
  all_.insert(all_.end(), references.begin(), references.end());
  starts_.push_back(all_.size());
}

int References::count() const {
  for (std::size_t i = 0; i < size(); ++i)
    if ((*this)[i].size() != (*this)[0].size()) return -1;
  return size() == 0 ? 0 : static_cast<int>((*this)[0].size());
}

}  // namespace glossa
