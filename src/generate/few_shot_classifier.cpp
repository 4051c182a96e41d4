#include "generate/few_shot_classifier.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace glossa {
namespace {

constexpr std::string_view kContentFree[] = {"N/A", "[MASK]", ""};

// Log-probabilities among the labels.
std::vector<double> log_softmax(std::vector<double> scores) {
  const double most = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const double s : scores) sum += std::exp(s - most);
  for (double& s : scores) s -= most + std::log(sum);
  return scores;
}

}  // namespace

FewShotClassifier::FewShotClassifier(const CausalModel& model, const Tokenizer& tokenizer,
                                     FewShotTemplate form, std::vector<std::string> words,
                                     FewShotOptions options)
    : tokenizer_(tokenizer),
      form_(std::move(form)),
      words_(std::move(words)),
      options_(std::move(options)),
      scorer_(model, options_.batch_tokens) {
  check(words_.size() >= 2, Code::bad_value, "{} label; there must be at least 2 to choose from",
        words_.size());
  check(!options_.calibrate || options_.measure != LabelMeasure::unconditional, Code::bad_value,
        "calibration and the unconditional measure both divide by what labels get without a case; take one "
        "of them");
  if (options_.context <= 0) options_.context = model.longest();
  check(options_.context <= model.longest(), Code::bad_value,
        "a context of {} tokens; the model has positions for {}", options_.context, model.longest());
  for (const std::string& word : words_) completions_.push_back(form_.completion(word));
  if (options_.measure != LabelMeasure::unconditional) return;
  const std::string context = form_.answer_context();
  check(!context.empty() || !tokenizer_.encode("").empty(), Code::bad_value,
        "template: no text between the last field and the label, after which labels could be scored without "
        "a case");
  const Completions input = completions({.text = context});
  unconditional_ = scorer_.score({&input, 1})[0];
}

Completions FewShotClassifier::completions(const FewShotPrompt& prompt) const {
  return completions_of(tokenizer_, prompt.text, prompt.beginning, completions_);
}

FewShotPrompt FewShotClassifier::prompt_of(const FewShotCase& item) const {
  const auto tokens = [this](const FewShotPrompt& p) {
    return static_cast<std::int64_t>(completions(p).longest());
  };
  const std::string query = form_.query(item.values);
  FewShotPrompt prompt = fitting_prompt(options_.frame, item.examples, query, [&](const FewShotPrompt& p) {
    return tokens(p) <= options_.context;
  });
  if (prompt.shots == 0)
    check(tokens(prompt) <= options_.context, Code::size,
          "{}: has {} tokens with its label and without any example, and the context holds {}", item.place,
          tokens(prompt), options_.context);
  return prompt;
}

std::vector<double> FewShotClassifier::measured(const Completions& input,
                                                std::span<const double> sums) const {
  std::vector<double> scores(sums.begin(), sums.end());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (options_.measure == LabelMeasure::token) scores[i] /= static_cast<double>(input.tokens[i].size());
    if (options_.measure == LabelMeasure::byte) scores[i] /= static_cast<double>(words_[i].size());
    if (options_.measure == LabelMeasure::unconditional) scores[i] -= unconditional_[i];
  }
  return scores;
}

// Of cases that say nothing: the logarithm of the mean of their labels' probabilities.
std::vector<double> FewShotClassifier::prior(std::span<const Completions> inputs,
                                             std::span<const std::vector<double>> sums) const {
  std::vector<std::vector<double>> logs;
  for (std::size_t i = 0; i < inputs.size(); ++i) logs.push_back(log_softmax(measured(inputs[i], sums[i])));
  std::vector<double> mean(words_.size());
  for (std::size_t label = 0; label < mean.size(); ++label) {
    double most = logs[0][label], sum = 0;
    for (const auto& l : logs) most = std::max(most, l[label]);
    for (const auto& l : logs) sum += std::exp(l[label] - most);
    mean[label] = most + std::log(sum / static_cast<double>(logs.size()));
  }
  return mean;
}

std::vector<LabelScores> FewShotClassifier::classify(std::span<const FewShotCase> cases) {
  constexpr std::size_t kFree = std::size(kContentFree);
  std::vector<Completions> inputs;
  std::vector<LabelScores> results;
  std::vector<bool> new_prior;
  std::optional<std::string> last = prior_beginning_;
  for (const FewShotCase& item : cases) {
    const FewShotPrompt prompt = prompt_of(item);
    const std::string beginning = prompt.text.substr(0, prompt.beginning);
    new_prior.push_back(options_.calibrate && last != beginning);
    if (new_prior.back()) {
      last = beginning;
      for (const std::string_view text : kContentFree) {
        const std::vector<std::string> values(form_.fields().size(), std::string(text));
        inputs.push_back(
            completions({.text = beginning + form_.query(values), .beginning = beginning.size()}));
      }
    }
    inputs.push_back(completions(prompt));
    results.push_back({.shots = prompt.shots, .prompt_tokens = inputs.back().prompt.size()});
  }
  const std::vector<std::vector<double>> sums = scorer_.score(inputs);
  prior_beginning_ = last;
  for (std::size_t i = 0, at = 0; i < cases.size(); ++i, ++at) {
    if (new_prior[i]) {
      prior_ = prior(std::span(inputs).subspan(at, kFree), std::span(sums).subspan(at, kFree));
      at += kFree;
    }
    LabelScores& result = results[i];
    result.log_probabilities = sums[at];
    std::vector<double> scores = log_softmax(measured(inputs[at], sums[at]));
    if (options_.calibrate) {
      for (std::size_t label = 0; label < scores.size(); ++label) scores[label] -= prior_[label];
      scores = log_softmax(std::move(scores));
    }
    result.best = static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    for (const double score : scores) result.probabilities.push_back(std::exp(score));
  }
  return results;
}

}  // namespace glossa
