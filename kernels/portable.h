// The dialect every kernel is written in: one text that OpenCL C, clang's CUDA front end and NVRTC all take. See docs/gpu.md.
//
// Rules: groups are one-dimensional and have THREADS threads; SHARED arrays have compile-time sizes and stand first in a kernel; every BARRIER
// is reached by all threads of a group; no pointer arrays, templates, recursion, half arithmetic or program-scope variables; nothing relies on
// threads that run in step. Nothing is contracted: a fused multiply-add is written FMA, and a * b + c rounds twice. Elementary functions come
// from the FMA polynomials below, so that every device, the CPU included, gives the same bits.
#ifndef NATIVE_ENGINE_PORTABLE_H
#define NATIVE_ENGINE_PORTABLE_H

#define THREADS 256

#if defined(__OPENCL_VERSION__) || defined(__OPENCL_C_VERSION__)
  #pragma OPENCL FP_CONTRACT OFF
  #pragma OPENCL EXTENSION cl_khr_fp64 : enable
  #define KERNEL(name) __kernel __attribute__((reqd_work_group_size(THREADS, 1, 1))) void name
  #define KERNEL_OF_TWO(name) KERNEL(name)
  #define FORGET(x)
  #define DEVICE static inline
  #define GLOBAL __global
  #define SHARED __local __attribute__((aligned(16)))
  #define SHARED_PTR __local
  #define RESTRICT restrict
  #define BARRIER() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
  #define LID() ((int)get_local_id(0))
  #define GRP(d) ((int)get_group_id(d))
  #define NGRP(d) ((int)get_num_groups(d))
  #define FABS(x) fabs(x)
  #define FMIN(a, b) fmin(a, b)
  #define FMA(a, b, c) fma(a, b, c)
  #define RINT(x) rint(x)
  #define SQRT(x) sqrt(x)
  #define SQRT_F64(x) sqrt(x)
  #define RINT_F64(x) rint(x)
  #define AS_F32(u) as_float(u)
  #define AS_U32(f) as_uint(f)
  #define MUL_HI_U32(a, b) mul_hi((u32)(a), (u32)(b))
  #define ATOMIC_ADD(p, v) atomic_add(p, v)
  #define ATOMIC_MAX(p, v) atomic_max(p, v)
  typedef uint u32;
  typedef ulong u64;
  typedef long i64;
  typedef float4 f4;
#else
  typedef unsigned int u32;
  typedef unsigned long long u64;
  typedef long long i64;
  #define GLOBAL
  #define SHARED_PTR
  #define RESTRICT __restrict__
  #define BARRIER() __syncthreads()
  #if defined(__CUDACC_RTC__) || defined(__NVCC__)
    #define LID() ((int)threadIdx.x)
    #define GRP(d) ((d) == 0 ? (int)blockIdx.x : (d) == 1 ? (int)blockIdx.y : (int)blockIdx.z)
    #define NGRP(d) ((d) == 0 ? (int)gridDim.x : (d) == 1 ? (int)gridDim.y : (int)gridDim.z)
    #define FABS(x) fabsf(x)
    #define FMIN(a, b) fminf(a, b)
    #define FMA(a, b, c) fmaf(a, b, c)
    #define RINT(x) rintf(x)
    #define SQRT(x) sqrtf(x)
    #define SQRT_F64(x) sqrt(x)
    #define RINT_F64(x) rint(x)
    #define AS_F32(u) __uint_as_float(u)
    #define AS_U32(f) __float_as_uint(f)
    #define MUL_HI_U32(a, b) __umulhi(a, b)
    #define ATOMIC_ADD(p, v) atomicAdd(p, v)
    #define ATOMIC_MAX(p, v) atomicMax(p, v)
    #define SHARED_ADDRESS(p) ((u32)__cvta_generic_to_shared(p))
    typedef float4 f4;
  #else // clang -x cuda -nocudainc -nocudalib
    #define __global__ __attribute__((global))
    #define __device__ __attribute__((device))
    #define __shared__ __attribute__((shared))
    #define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
    #define LID() ((int)__nvvm_read_ptx_sreg_tid_x())
    #define GRP(d) ((int)((d) == 0 ? __nvvm_read_ptx_sreg_ctaid_x() : (d) == 1 ? __nvvm_read_ptx_sreg_ctaid_y() : __nvvm_read_ptx_sreg_ctaid_z()))
    #define NGRP(d) ((int)((d) == 0 ? __nvvm_read_ptx_sreg_nctaid_x() : (d) == 1 ? __nvvm_read_ptx_sreg_nctaid_y() : __nvvm_read_ptx_sreg_nctaid_z()))
    #define FABS(x) __builtin_fabsf(x)
    #define FMIN(a, b) __builtin_fminf(a, b)
    #define FMA(a, b, c) __builtin_fmaf(a, b, c)
    #define RINT(x) __builtin_rintf(x)
    #define SQRT(x) __nvvm_sqrt_rn_f(x)
    #define SQRT_F64(x) __nvvm_sqrt_rn_d(x)
    #define RINT_F64(x) __builtin_rint(x)
    #define AS_F32(u) __builtin_bit_cast(float, (u32)(u))
    #define AS_U32(f) __builtin_bit_cast(u32, (float)(f))
    #define MUL_HI_U32(a, b) ((u32)(((u64)(u32)(a) * (u32)(b)) >> 32))
    #define ATOMIC_ADD(p, v) ((u32)__nvvm_atom_add_gen_i((int*)(p), (int)(v)))
    #define ATOMIC_MAX(p, v) ((u32)__nvvm_atom_max_gen_ui((u32*)(p), (u32)(v)))
    typedef float f4 __attribute__((ext_vector_type(4)));
    #define SHARED_ADDRESS(p) ((u32)(u64)(__attribute__((address_space(3))) void*)(p))
  #endif
  #define KERNEL(name) extern "C" __global__ __launch_bounds__(THREADS) void name
  // At most 128 registers a thread, so that two groups share a multiprocessor and one computes while the other waits.
  #define KERNEL_OF_TWO(name) extern "C" __global__ __launch_bounds__(THREADS, 2) void name
  // What depends on x is computed again from here on, in place of being kept in registers across a loop.
  #define FORGET(x) asm volatile("" : "+r"(x))
  #define DEVICE static inline __device__ __attribute__((always_inline))
  #define SHARED __shared__ __attribute__((aligned(16)))
#endif

// A tensor is two parameters, base pointer and offset in bytes; USE puts them together (OpenCL buffers have no address on the host).
#define BUF(T, name) GLOBAL T* name##_base, i64 name##_offset
#define USE(T, name) GLOBAL T* name = (GLOBAL T*)((GLOBAL char*)name##_base + name##_offset)

#define GLOBAL4(p) (*(GLOBAL f4*)(p))
#define SHARED4(p) (*(SHARED_PTR f4*)(p))
#define ALL4(E) E(x) E(y) E(z) E(w)
// Loops over private arrays are unrolled, or the arrays go to memory.
#define UNROLL _Pragma("unroll")
#define UNROLL_4 _Pragma("unroll 4")
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))

// Elementwise kernels: a group works on 1,024 elements, a thread on four that follow each other. VECTOR is one 16-byte step (allowed when the
// launcher says that all bases are 16-byte aligned), SCALAR is element i.
#define EACH(n, aligned, VECTOR, SCALAR) \
    i64 first = (i64)GRP(0) * (4 * THREADS) + 4 * LID(); \
    if (aligned && first + 4 <= n) { i64 i = first; VECTOR } \
    else { for (i64 i = first; i < MIN_OF(first + 4, n); i++) { SCALAR } }

// Indices come from other kernels or from the host; a bad one is recorded (the lowest position wins) and the host tells at the next wait.
#define REPORT_INDEX(status, slot, position) ATOMIC_MAX((status) + (slot), 0xFFFFFFFFu - (u32)(position))

#define NEGATIVE_INFINITY AS_F32(0xFF800000u)
#define POSITIVE_INFINITY AS_F32(0x7F800000u)
#define QUIET_NAN AS_F32(0x7FC00000u)
#define LOWEST AS_F32(0xFF7FFFFFu)

// e^x for x in [-87.3, 88.3], clamped outside. NaN gives NaN. Error below 1.5 ulp.
DEVICE float exp_f32(float x)
{
    x = -87.3f > x ? -87.3f : x;
    x = 88.3f < x ? 88.3f : x;
    float n = RINT(x * 1.44269504088896341f);
    float r = FMA(n, -0.693359375f, x);
    r = FMA(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = FMA(p, r, 1.3981999507e-3f);
    p = FMA(p, r, 8.3334519073e-3f);
    p = FMA(p, r, 4.1665795894e-2f);
    p = FMA(p, r, 1.6666665459e-1f);
    p = FMA(p, r, 5.0000001201e-1f);
    p = FMA(p, r * r, r + 1.0f);
    return AS_F32(AS_U32(p) + ((u32)(int)n << 23));
}

// 1 / (1 + e^-x).
DEVICE float sigmoid_f32(float x)
{
    return 1.0f / (1.0f + exp_f32(0.0f - x));
}

// Natural logarithm of a positive normal number; infinity and NaN pass through. Error below 2 ulp away from 1.
DEVICE float log_f32(float x)
{
    float e = (float)((int)(AS_U32(x) >> 23) - 127);
    float m = AS_F32((AS_U32(x) & 0x007FFFFFu) | 0x3F800000u);
    int big = m > 1.41421356237f;
    e = big ? e + 1.0f : e;
    m = (big ? m * 0.5f : m) - 1.0f;
    float z = m * m;
    float p = 7.0376836292e-2f;
    p = FMA(p, m, -1.1514610310e-1f);
    p = FMA(p, m, 1.1676998740e-1f);
    p = FMA(p, m, -1.2420140846e-1f);
    p = FMA(p, m, 1.4249322787e-1f);
    p = FMA(p, m, -1.6668057665e-1f);
    p = FMA(p, m, 2.0000714765e-1f);
    p = FMA(p, m, -2.4999993993e-1f);
    p = FMA(p, m, 3.3333331174e-1f);
    float y = FMA(p * m, z, e * -2.12194440e-4f);
    y = FMA(-0.5f, z, y);
    y = FMA(e, 0.693359375f, m + y);
    return (AS_U32(x) & 0x7F800000u) == 0x7F800000u ? x : y;
}

// Four elements that follow each other, minor .. minor + 3 of line major; 0 for what is outside.
DEVICE f4 fetch4(GLOBAL const float* x, i64 major, i64 minor, i64 majors, i64 minors, i64 stride, int aligned)
{
    f4 v;
    v.x = 0.0f; v.y = 0.0f; v.z = 0.0f; v.w = 0.0f;
    if (major < majors) {
        GLOBAL const float* p = x + major * stride + minor;
        if (aligned && minor + 4 <= minors) v = GLOBAL4((GLOBAL float*)p);
        else {
            if (minor < minors) v.x = p[0];
            if (minor + 1 < minors) v.y = p[1];
            if (minor + 2 < minors) v.z = p[2];
            if (minor + 3 < minors) v.w = p[3];
        }
    }
    return v;
}

// A place of a thread in a 16 x 16 square such that the 32 threads of a warp cover 8 x 4 of it: they read few different words of a tile.
#define SQUARE_X(t) (((t) & 7) | (((t) >> 5 & 1) << 3))
#define SQUARE_Y(t) (((t) >> 3 & 3) | (((t) >> 6) << 2))

// The sum of sixteen lanes, halves folded onto each other: 8, 4, 2, 1.
DEVICE float fold16(SHARED_PTR const float* s)
{
    float a[8];
    UNROLL for (int i = 0; i < 8; i++) a[i] = s[i] + s[i + 8];
    UNROLL for (int i = 0; i < 4; i++) a[i] += a[i + 4];
    a[0] += a[2];
    a[1] += a[3];
    return a[0] + a[1];
}

// The sum of a[i] b[i] by a team of 64 threads in four chains of sixteen lanes whose layout depends on the length alone. s holds the team's 64
// floats; every thread of the group must call. A count of 0 is a team without work.
DEVICE float dot64(GLOBAL const float* a, GLOBAL const float* b, i64 count, int lane, SHARED_PTR float* s)
{
    float sum = 0.0f;
    i64 i = 0;
    UNROLL_4 for (; i + 64 <= count; i += 64) sum = FMA(a[i + lane], b[i + lane], sum);
    int l = lane & 15;
    if (lane < 16) {
        for (; i + 16 <= count; i += 16) sum = FMA(a[i + l], b[i + l], sum);
    } else if (lane < 32) {
        i = count / 16 * 16;
        if (i + l < count) sum = FMA(a[i + l], b[i + l], sum);
    }
    s[lane] = sum;
    BARRIER();
    if (lane < 16) s[l] = (s[l] + s[l + 16]) + (s[l + 32] + s[l + 48]);
    BARRIER();
    sum = fold16(s);
    BARRIER();
    return sum;
}

#endif
