#include "media/decimate.h"

#include <string.h>

enum {
	PAST = PL_DECIMATE_TAPS - PL_DECIMATE_FACTOR,
	LANES = 4,   /* of a vector: what every machine we run on has */
	ABREAST = 4, /* outputs that share one load of the taps */
	CHUNK = 960, /* input samples at a time: 20 ms */
};
_Static_assert(PL_DECIMATE_TAPS % LANES == 0, "the taps are whole vectors");

/* Equiripple (Chebyshev), even and symmetric: pass band to 3,400 Hz, stop band from 4,600 Hz on with six times the
 * weight; divided by its sum. */
static const float taps[PL_DECIMATE_TAPS] = {
	0.00012704f,
	0.00096691f,
	0.00089776f,
	0.00113447f,
	0.00111487f,
	0.00085145f,
	0.00033703f,
	-0.00034803f,
	-0.00105417f,
	-0.00159060f,
	-0.00177289f,
	-0.00148115f,
	-0.00070876f,
	0.00041258f,
	0.00162448f,
	0.00259445f,
	0.00299996f,
	0.00262460f,
	0.00144035f,
	-0.00035182f,
	-0.00234201f,
	-0.00399536f,
	-0.00478617f,
	-0.00435138f,
	-0.00262043f,
	0.00011890f,
	0.00324691f,
	0.00593826f,
	0.00736563f,
	0.00693367f,
	0.00448208f,
	0.00039579f,
	-0.00442250f,
	-0.00872841f,
	-0.01123222f,
	-0.01095089f,
	-0.00752671f,
	-0.00142050f,
	0.00608994f,
	0.01313166f,
	0.01765028f,
	0.01793337f,
	0.01312245f,
	0.00358226f,
	-0.00898240f,
	-0.02172108f,
	-0.03113140f,
	-0.03376688f,
	-0.02701456f,
	-0.00976965f,
	0.01715351f,
	0.05098607f,
	0.08737818f,
	0.12112360f,
	0.14709708f,
	0.16121439f,
	0.16121439f,
	0.14709708f,
	0.12112360f,
	0.08737818f,
	0.05098607f,
	0.01715351f,
	-0.00976965f,
	-0.02701456f,
	-0.03376688f,
	-0.03113140f,
	-0.02172108f,
	-0.00898240f,
	0.00358226f,
	0.01312245f,
	0.01793337f,
	0.01765028f,
	0.01313166f,
	0.00608994f,
	-0.00142050f,
	-0.00752671f,
	-0.01095089f,
	-0.01123222f,
	-0.00872841f,
	-0.00442250f,
	0.00039579f,
	0.00448208f,
	0.00693367f,
	0.00736563f,
	0.00593826f,
	0.00324691f,
	0.00011890f,
	-0.00262043f,
	-0.00435138f,
	-0.00478617f,
	-0.00399536f,
	-0.00234201f,
	-0.00035182f,
	0.00144035f,
	0.00262460f,
	0.00299996f,
	0.00259445f,
	0.00162448f,
	0.00041258f,
	-0.00070876f,
	-0.00148115f,
	-0.00177289f,
	-0.00159060f,
	-0.00105417f,
	-0.00034803f,
	0.00033703f,
	0.00085145f,
	0.00111487f,
	0.00113447f,
	0.00089776f,
	0.00096691f,
	0.00012704f,
};

/* GCC's and clang's vectors: each machine's own instructions, and plain code where it has none. */
typedef float vector __attribute__((vector_size(LANES * sizeof(float))));

static inline vector load(const float *at)
{
	vector v;
	memcpy(&v, at, sizeof v);
	return v;
}

static inline float sum_of(vector v)
{
	return (v[0] + v[2]) + (v[1] + v[3]);
}

static float filter_one(const float *window)
{
	vector sum = { 0 };
	for (size_t i = 0; i < PL_DECIMATE_TAPS; i += LANES)
		sum += load(&taps[i]) * load(&window[i]);
	return sum_of(sum);
}

/* Four at once keep four sums in registers: the processor need not wait for one to be added up. */
static void filter_abreast(const float *window, float out[static ABREAST])
{
	vector sum[ABREAST] = { { 0 } };
	for (size_t i = 0; i < PL_DECIMATE_TAPS; i += LANES) {
		const vector tap = load(&taps[i]);
		for (size_t k = 0; k < ABREAST; k++)
			sum[k] += tap * load(&window[k * PL_DECIMATE_FACTOR + i]);
	}
	for (size_t k = 0; k < ABREAST; k++)
		out[k] = sum_of(sum[k]);
}

void pl_decimate_init(struct pl_decimate *d)
{
	*d = (struct pl_decimate){ .past = { 0 } };
}

void pl_decimate(struct pl_decimate *d, const float *in, size_t count, float *out)
{
	PL_ASSERT(count % PL_DECIMATE_FACTOR == 0);
	float buffer[PAST + CHUNK];
	memcpy(buffer, d->past, sizeof d->past);
	while (count > 0) {
		const size_t chunk = count < CHUNK ? count : CHUNK, outs = chunk / PL_DECIMATE_FACTOR;
		memcpy(buffer + PAST, in, chunk * sizeof *in);
		size_t i = 0;
		for (; i + ABREAST <= outs; i += ABREAST)
			filter_abreast(&buffer[i * PL_DECIMATE_FACTOR], &out[i]);
		for (; i < outs; i++)
			out[i] = filter_one(&buffer[i * PL_DECIMATE_FACTOR]);
		memmove(buffer, buffer + chunk, PAST * sizeof *buffer);
		in += chunk;
		out += outs;
		count -= chunk;
	}
	memcpy(d->past, buffer, sizeof d->past);
}
