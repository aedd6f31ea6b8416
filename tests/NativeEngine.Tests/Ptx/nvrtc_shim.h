// Lets clang stand in for NVRTC: what NVRTC predefines, so that the branch of portable.h for it is compile-checked without a CUDA toolkit.
#define __CUDACC_RTC__ 1
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#include <__clang_cuda_builtin_vars.h>
struct __attribute__((aligned(16))) float4 { float x, y, z, w; };
#define GIVEN static __device__ inline __attribute__((always_inline))
GIVEN float fabsf(float x) { return __builtin_fabsf(x); }
GIVEN float fminf(float a, float b) { return __builtin_fminf(a, b); }
GIVEN float fmaf(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
GIVEN float rintf(float x) { return __builtin_rintf(x); }
GIVEN double rint(double x) { return __builtin_rint(x); }
GIVEN float sqrtf(float x) { return __nvvm_sqrt_rn_f(x); }
GIVEN double sqrt(double x) { return __nvvm_sqrt_rn_d(x); }
GIVEN float __uint_as_float(unsigned u) { return __builtin_bit_cast(float, u); }
GIVEN unsigned __float_as_uint(float f) { return __builtin_bit_cast(unsigned, f); }
GIVEN unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)(((unsigned long long)a * b) >> 32); }
GIVEN unsigned atomicAdd(unsigned* p, unsigned v) { return (unsigned)__nvvm_atom_add_gen_i((int*)p, (int)v); }
GIVEN unsigned atomicMax(unsigned* p, unsigned v) { return __nvvm_atom_max_gen_ui(p, v); }
GIVEN unsigned long long __cvta_generic_to_shared(const void* p) { return (unsigned long long)(__attribute__((address_space(3))) const void*)p; }
#undef GIVEN
