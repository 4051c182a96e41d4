#include "hub/names.h"

#include <algorithm>

#include "base/error.h"
#include "base/unicode.h"

namespace glossa {
namespace {

constexpr std::size_t kLongestPart = 96;        // the hub's own rule
constexpr std::size_t kLongestComponent = 255;  // a file system's
constexpr std::size_t kLongestName = 1024;

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_part(std::string_view part) {
  return !part.empty() && part.size() <= kLongestPart && is_word(part.front()) && is_word(part.back()) &&
         part.find("--") == part.npos && part.find("..") == part.npos &&
         std::all_of(part.begin(), part.end(), [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

bool is_quant(std::string_view quant) {
  return !quant.empty() && quant.size() <= kLongestPart &&
         std::all_of(quant.begin(), quant.end(), [](char c) { return is_word(c) || c == '-' || c == '.'; });
}

bool is_repository(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return is_part(text);
  return is_part(text.substr(0, slash)) && is_part(text.substr(slash + 1));
}

bool is_hexadecimal(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

RepositoryName RepositoryName::parse(std::string_view text) {
  check(is_repository(text), Code::bad_value,
        "{} is no name of a model at the hub: ORG/NAME of letters, digits, '-', '_' and '.' is wanted",
        quoted(text));
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return {"", std::string(text)};
  return {std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

std::string RepositoryName::text() const {
  return organisation.empty() ? name : organisation + "/" + name;
}

std::string RepositoryName::folder() const {
  return organisation.empty() ? "models--" + name : "models--" + organisation + "--" + name;
}

bool ModelName::is_one(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == text.npos) return is_repository(text);
  return is_repository(text.substr(0, colon)) && is_quant(text.substr(colon + 1));
}

ModelName ModelName::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  ModelName name{RepositoryName::parse(text.substr(0, colon)), ""};
  if (colon == text.npos) return name;
  const std::string_view quant = text.substr(colon + 1);
  check(is_quant(quant), Code::bad_value, "{}: {} is no quantisation such as Q4_K_M", quoted(text),
        quoted(quant));
  name.quant = upper(quant);
  return name;
}

std::string ModelName::text() const {
  return repository.text() + (quant.empty() ? "" : ":" + quant);
}

std::string file_name_fault(std::string_view name) {
  if (name.empty()) return "is empty";
  if (name.size() > kLongestName)
    return fmt::format("has {} bytes, and at most {} may be", name.size(), kLongestName);
  if (utf8_error(name)) return "is not UTF-8";
  for (const char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\')
      return "has a character no name may have";
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view component = name.substr(begin, end - begin);
    if (component.empty() || component == "." || component == "..") return "leads out of its folder";
    if (component.size() > kLongestComponent) return fmt::format("has a part of {} bytes", component.size());
    begin = end + 1;
  }
  return "";
}

void check_revision(std::string_view text) {
  const std::string fault = file_name_fault(text);
  check(fault.empty(), Code::bad_value, "--revision {} {}; a branch, a tag or a commit is wanted",
        quoted(text), fault);
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && is_hexadecimal(text);
}

bool is_digest(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) && is_hexadecimal(text);
}

}  // namespace glossa
