#include "app/sampling_options.h"

#include <charconv>

#include "app/values.h"
#include "base/error.h"

namespace glossa::app {
namespace {

// "15043+1" or "15043-0.5": a token and what is added to its logit; "15043-inf": never.
std::pair<std::int32_t, double> read_bias(const std::string& text) {
  const std::size_t sign = text.find_first_of("+-", 1);
  std::int32_t token = -1;
  double bias = 0;
  bool good = sign != std::string::npos && std::from_chars(text.data(), text.data() + sign, token).ptr == text.data() + sign && token >= 0;
  if (good) {
    const char *begin = text.data() + sign + (text[sign] == '+'), *end = text.data() + text.size();
    const auto read = std::from_chars(begin, end, bias);
    good = read.ec == std::errc() && read.ptr == end && begin != end;
  }
  check(good, Code::bad_value, "--logit-bias: {} is not TOKEN+BIAS or TOKEN-BIAS, such as 15043+1 or 15043-inf", quoted(text));
  return {token, bias};
}

std::vector<std::string> parts(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(';', begin), text.size());
    if (end > begin) all.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return all;
}

}  // namespace

void add_sampling_options(CLI::App& c, SamplingConfig& s) {
  const char* group = "Sampling";
  const auto real = [&](const char* name, double& field, double low, double high, const char* meaning) {
    c.add_option(name, field, meaning)->type_name("X")->check(number(low, high))->capture_default_str()->group(group);
  };
  const auto whole = [&](const char* name, std::int32_t& field, std::int64_t low, std::int64_t high, const char* meaning) {
    c.add_option(name, field, meaning)->type_name("N")->check(whole_number(low, high))->capture_default_str()->group(group);
  };
  real("--temp,--temperature", s.temp, -1e3, 1e3, "Below 1: likelier tokens more often; 0: always the likeliest");
  whole("--top-k", s.top_k, 0, 1 << 30, "Only the likeliest; 0: all");
  real("--top-p", s.top_p, 0, 1, "Only the likeliest that make up this probability");
  real("--min-p", s.min_p, 0, 1, "Only tokens this likely, compared with the likeliest");
  real("--typical", s.typical, 0, 1, "Locally typical sampling; 1: off");
  real("--top-nsigma", s.top_n_sigma, -1, 1e3, "Only logits this many deviations below the best; -1: off");
  real("--xtc-probability", s.xtc_probability, 0, 1, "How often all likely tokens but the least of them go");
  real("--xtc-threshold", s.xtc_threshold, 0, 1, "What counts as likely there");
  whole("--repeat-last-n", s.repeat_last_n, -1, 1 << 30, "Tokens that penalties look back at; -1: all");
  real("--repeat-penalty", s.repeat_penalty, 1e-3, 1e3, "Above 1: tokens that were used are less likely");
  real("--presence-penalty", s.presence_penalty, -1e3, 1e3, "Taken from the logits of tokens that were used");
  real("--frequency-penalty", s.frequency_penalty, -1e3, 1e3, "The same for each time they were used");
  real("--dry-multiplier", s.dry_multiplier, 0, 1e3, "Strength of DRY, against repeated sequences; 0: off");
  real("--dry-base", s.dry_base, 1, 1e3, "Growth of DRY with the length of the repetition");
  whole("--dry-allowed-length", s.dry_allowed_length, 0, 1 << 30, "Repetitions of this length cost DRY's multiplier, shorter ones nothing");
  whole("--dry-penalty-last-n", s.dry_penalty_last_n, -1, 1 << 30, "Tokens that DRY looks back at; -1: all");
  c.add_option("--dry-sequence-breaker", s.dry_sequence_breakers, "Text that ends what DRY compares; may be repeated")
      ->type_name("TEXT")->allow_extra_args(false)->group(group);
  real("--dynatemp-range", s.dynatemp_range, 0, 1e3, "Temperatures from temp - X to temp + X, by the entropy");
  real("--dynatemp-exp", s.dynatemp_exponent, 1e-3, 1e3, "Exponent of the entropy there");
  whole("--mirostat", s.mirostat, 0, 2, "2: Mirostat 2 in the place of the other samplers");
  real("--mirostat-lr", s.mirostat_lr, 0, 10, "Its rate of learning");
  real("--mirostat-ent", s.mirostat_ent, 0, 100, "The surprise that it aims at, in bits");
  c.add_option_function<std::string>("--samplers", [&s](const std::string& text) { s.samplers = parts(text); },
                                     "Samplers in the order in which they work, with ; between them")
      ->type_name("LIST")->default_str(fmt::format("{}", fmt::join(s.samplers, ";")))->group(group);
  c.add_option_function<std::vector<std::string>>("-l,--logit-bias",
                                                  [&s](const std::vector<std::string>& all) {
                                                    for (const std::string& text : all) s.logit_bias.push_back(read_bias(text));
                                                  },
                                                  "TOKEN+BIAS or TOKEN-BIAS; may be repeated")
      ->type_name("BIAS")->allow_extra_args(false)->group(group);
  c.add_option("-s,--seed", s.seed, "Of what is drawn")->type_name("N")->check(whole_number(0, INT64_MAX))->capture_default_str()->group(group);
}

}  // namespace glossa::app
