#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include "backend/cpu/cpu_features.h"
#include "base/parallel.h"
#include "cases.h"

namespace glossa::test {
namespace {

constexpr Device kCpu{Device::cpu}, kReference{Device::reference};

class Ops : public testing::TestWithParam<Case> {};

// Against f32 on the reference, which sums in f64: what is left is the rounding of f32 and the polynomials of
// exp and erf.
constexpr double kTolerance = 3e-6;

void expect_near(const Tensor& found, const Tensor& wanted, const std::string& what) {
  ASSERT_EQ(!found, !wanted) << what;
  if (!found) return;
  EXPECT_LE(relative_error(found, wanted), kTolerance) << what;
}

TEST_P(Ops, CpuAgreesWithReference) {
  const Case& c = GetParam();
  const Outcome wanted = outcome(c, DType::f32, kReference);
  const auto before = cpu::instruction_set();
  for (const auto set : cpu::supported_instruction_sets()) {
    cpu::set_instruction_set(set);
    const std::string where = " with " + std::string(cpu::name_of(set));
    const Outcome found = outcome(c, DType::f32, kCpu);
    expect_near(found.y, wanted.y, "result" + where);
    for (std::size_t i = 0; i < c.inputs.size(); ++i)
      expect_near(found.gradients[i], wanted.gradients[i], "gradient of input " + std::to_string(i) + where);
    // Without a tape nothing is kept, and nothing else may change.
    if (c.op == "dropout") continue;
    const Tensor bare = c.run(random_inputs(c, DType::f32, kCpu), kCpu);
    Tape evaluation({.mode = Tape::Mode::evaluate});
    std::vector<Tensor> watched = random_inputs(c, DType::f32, kCpu);
    for (Tensor& x : watched) evaluation.watch(x);
    EXPECT_TRUE(same_bits(bare, c.run(watched, kCpu).detach())) << "result without a tape" << where;
  }
  cpu::set_instruction_set(before);
}

TEST_P(Ops, BitsDoNotDependOnThreads) {
  const int before = thread_count();
  set_thread_count(1);
  const Outcome wanted = outcome(GetParam(), DType::f32, kCpu);
  for (int threads : {2, 3}) {
    set_thread_count(threads);
    const Outcome found = outcome(GetParam(), DType::f32, kCpu);
    EXPECT_TRUE(same_bits(found.y, wanted.y));
    for (std::size_t i = 0; i < found.gradients.size(); ++i)
      EXPECT_TRUE(same_bits(found.gradients[i], wanted.gradients[i])) << "input " << i;
  }
  set_thread_count(before);
}

// d(sum of dy * y) along `direction`, a change of input `input`: five points, so the error falls with step^4.
double difference(const Case& c, const std::vector<Tensor>& inputs, const Tensor& dy, std::size_t input,
                  const Tensor& direction) {
  const double step = c.smooth ? 2e-3 : 1e-6;
  const auto at = [&](double distance) {
    std::vector<Tensor> moved = inputs;
    moved[input] = Tensor::empty(inputs[input].shape(), DType::f64, kReference);
    for (std::int64_t i = 0; i < direction.elements(); ++i)
      moved[input].data<double>()[i] =
          inputs[input].data<double>()[i] + distance * direction.data<double>()[i];
    Tape tape({.seed = 5, .step = 3});  // for its dropout
    const Tensor y = c.run(moved, kReference);
    double sum = 0;
    for (std::int64_t i = 0; i < y.elements(); ++i) sum += y.data<double>()[i] * dy.data<double>()[i];
    return sum;
  };
  return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.elements(); ++i) sum += a.data<double>()[i] * b.data<double>()[i];
  return sum;
}

// Each element where there are few, else along random directions.
TEST_P(Ops, GradientAgreesWithDifferences) {
  const Case& c = GetParam();
  std::vector<Tensor> inputs = random_inputs(c, DType::f64, kReference);
  Tape tape({.seed = 5, .step = 3});
  for (Tensor& x : inputs) tape.watch(x);
  const Tensor y = c.run(inputs, kReference);
  const Tensor dy = random(y.shape(), DType::f64, kReference, 99);
  tape.backward_from(y, dy);

  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Tensor gradient = tape.gradient(inputs[i]);
    if (!gradient) gradient = Tensor::zeros(inputs[i].shape(), DType::f64, kReference);
    const std::int64_t n = inputs[i].elements();
    const double norm = std::sqrt(dot(gradient, gradient)), tolerance = c.smooth ? 1e-9 : 1e-6;
    const bool each = n * y.elements() <= 3000;
    for (std::int64_t d = 0; d < (each ? n : 2); ++d) {
      Tensor direction = Tensor::zeros(inputs[i].shape(), DType::f64, kReference);
      if (each) {
        direction.data<double>()[d] = 1;
      } else {
        direction = random(inputs[i].shape(), DType::f64, kReference, 1000 + static_cast<std::uint64_t>(d));
        const double scale = 1 / std::sqrt(dot(direction, direction));
        for (std::int64_t e = 0; e < n; ++e) direction.data<double>()[e] *= scale;
      }
      EXPECT_NEAR(dot(gradient, direction), difference(c, inputs, dy, i, direction),
                  tolerance * (norm + 1e-3))
          << "input " << i << ", direction " << d;
    }
  }
}

std::string test_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.op + "_" + info.param.what;
  for (char& x : name)
    if (!std::isalnum(static_cast<unsigned char>(x))) x = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Cases, Ops, testing::ValuesIn(cases()), test_name);

// ---- completeness ----

std::string read(const std::string& path) {
  std::ifstream in(std::string(GLOSSA_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Names of functions declared at the beginning of a line of ops.h with one of the types ops return.
std::set<std::string> declared_ops() {
  std::set<std::string> names;
  std::istringstream lines(read("src/ops/ops.h"));
  for (std::string line; std::getline(lines, line);) {
    const bool declares = line.starts_with("Tensor ") || line.starts_with("std::array<Tensor");
    const std::size_t bracket = line.find('(');
    if (!declares || bracket == std::string::npos) continue;
    const std::size_t begin = line.rfind(' ', bracket) + 1;
    names.insert(line.substr(begin, bracket - begin));
  }
  return names;
}

TEST(Vocabulary, EveryOpHasACase) {
  std::set<std::string> covered;
  for (const Case& c : cases()) covered.insert(c.op);
  EXPECT_EQ(declared_ops(), covered);
}

}  // namespace
}  // namespace glossa::test
