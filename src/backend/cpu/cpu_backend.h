// cpu_backend.h -- the fast kernels of the host, for f32, chosen at run time by what the processor has.
#pragma once
#include "backend/backend.h"

namespace glossa {
Backend& cpu_backend();
}
