/* SPDX-License-Identifier: MIT */
/*
 * Typed channels: those of ringo/chan.h with the element's type known to the compiler. A wrong type does not
 * compile. They cost nothing: each is a pointer to the same channel.
 *
 *	ringo_ch(long) c = ringo_ch_make(long, 16);	also as a parameter: void worker(ringo_ch(long) c)
 *	ringo_ch_send(c, 42);				the value may hold commas: (struct point){ 1, 2 }
 *	ringo_ch_recv(c, &v);
 *
 * Types: anything that can be assigned and copied byte by byte, so no arrays. A value sent has the element's
 * type; where both are numbers also one that fits in it by C's usual conversions, or an integer constant;
 * where both are pointers one that gains qualifiers, or any where the element is void *.
 */
#ifndef RINGO_TYPED_H
#define RINGO_TYPED_H

#include <ringo/base.h>
#include <ringo/chan.h>

RINGO__C_BEGIN

/* Behind ringo_ch_make and ringo_ch_as. */
RINGO__API struct ringo_chan *ringo__ch_make(size_t elem_size, size_t cap);
RINGO__API struct ringo_chan *ringo__ch_as(struct ringo_chan *c, size_t elem_size);

RINGO__C_END

/*
 * ringo_ch_make(T, cap): a channel with one reference; out of memory is a panic. Any thread.
 * ringo_ch_send, _try_send(c, value...), ringo_ch_recv, _try_recv(c, pointer or NULL), ringo_ch_close, _len,
 * _cap, _ref, _unref(c): as those of ringo/chan.h.
 * ringo_ch_raw(c): the struct ringo_chan *. ringo_ch_as(T, raw): the other way; an element of another size
 * is a panic. Neither takes a reference.
 */
#ifndef __cplusplus

/*
 * A pointer to a function that was never there: the one type that names another one, is the same wherever it
 * is written, and is taken for no other pointer.
 */
#define ringo_ch(T) __typeof__(__typeof__(T) (*)(struct ringo_chan *))

#define RINGO__CH_IS_RAW(c) __builtin_types_compatible_p(__typeof__(c), struct ringo_chan *)
/* The element's type; of a raw channel void. */
#define RINGO__CH_ELEM(c) \
	__typeof__(__builtin_choose_expr(RINGO__CH_IS_RAW(c), (void (*)(struct ringo_chan *))0, (c))( \
		(struct ringo_chan *)0))
/* The element's type of what must be a typed channel. */
#define RINGO__CH_TYPE(c) __typeof__((c)((struct ringo_chan *)0))
#define RINGO__CH_RAW(c) __extension__((struct ringo_chan *)(c))
#define RINGO__CH_TYPED(T, raw) __extension__((ringo_ch(T))(raw))

/* classes of __builtin_classify_type: integers, characters, enums and bool; pointers; up to floating point */
#define RINGO__CH_CLASS(x) __builtin_classify_type(__extension__({ __auto_type ringo__x = (x); ringo__x; }))
#define RINGO__CH_INTEGER(x) (RINGO__CH_CLASS(x) >= 1 && RINGO__CH_CLASS(x) <= 4)
#define RINGO__CH_NUMBER(x) (RINGO__CH_INTEGER(x) || RINGO__CH_CLASS(x) == 8)
#define RINGO__CH_POINTER(x) (RINGO__CH_CLASS(x) == 5)
#define RINGO__CH_ANY(T) (*(__typeof__(T) *)0)

/* An integer constant expression: only with one is the first arm a null pointer, and the type the second's. */
#define RINGO__CH_CONSTANT(x) \
	(sizeof(*(1 ? (void *)((uintptr_t)__builtin_choose_expr(RINGO__CH_INTEGER(x), (x), RINGO__CH_ANY(int)) * 0) : \
		      (long *)8)) == sizeof(long))

/* p points to a T, perhaps a const or void one, or is NULL. */
#define RINGO__CH_FITS_PTR(T, p) \
	__builtin_types_compatible_p(__typeof__(1 ? RINGO__CH_ANY(T *) : (p)), __typeof__(T) *)

#define RINGO__CH_FITS(T, x) \
	(__builtin_types_compatible_p(__typeof__(T), \
				      __typeof__(__extension__({ __auto_type ringo__y = (x); ringo__y; }))) || \
	 (((RINGO__CH_NUMBER(RINGO__CH_ANY(T)) && RINGO__CH_NUMBER(x)) || \
	   (RINGO__CH_POINTER(RINGO__CH_ANY(T)) && RINGO__CH_POINTER(x))) && \
	  __builtin_types_compatible_p(__typeof__(1 ? RINGO__CH_ANY(T) : (x)), __typeof__(T))) || \
	 (RINGO__CH_INTEGER(RINGO__CH_ANY(T)) && RINGO__CH_CONSTANT(x)))

#define ringo_ch_make(T, cap) RINGO__CH_TYPED(T, ringo__ch_make(sizeof(T), cap))
#define ringo_ch_raw(c) __extension__({ \
	__auto_type ringo__c = (c); \
	(void)sizeof(RINGO__CH_TYPE(ringo__c)); \
	RINGO__CH_RAW(ringo__c); })
#define ringo_ch_as(T, raw) RINGO__CH_TYPED(T, ringo__ch_as(raw, sizeof(T)))

#define RINGO__CH_SEND(how, c, ...) __extension__({ \
	__auto_type ringo__c = (c); \
	_Static_assert(RINGO__CH_FITS(RINGO__CH_TYPE(ringo__c), (__VA_ARGS__)), \
		       "ringo_ch_send: the value is not of the channel's element type"); \
	RINGO__CH_TYPE(ringo__c) ringo__v = (__VA_ARGS__); \
	how(RINGO__CH_RAW(ringo__c), &ringo__v); })
#define RINGO__CH_RECV(how, c, ptr) __extension__({ \
	__auto_type ringo__c = (c); \
	_Static_assert(RINGO__CH_FITS_PTR(RINGO__CH_TYPE(ringo__c), ptr), \
		       "ringo_ch_recv: a pointer to the channel's element type is needed"); \
	how(RINGO__CH_RAW(ringo__c), (ptr)); })

#define ringo_ch_send(c, ...) RINGO__CH_SEND(ringo_chan_send, c, __VA_ARGS__)
#define ringo_ch_try_send(c, ...) RINGO__CH_SEND(ringo_chan_try_send, c, __VA_ARGS__)
#define ringo_ch_recv(c, ptr) RINGO__CH_RECV(ringo_chan_recv, c, ptr)
#define ringo_ch_try_recv(c, ptr) RINGO__CH_RECV(ringo_chan_try_recv, c, ptr)
#define ringo_ch_close(c) ringo_chan_close(ringo_ch_raw(c))
#define ringo_ch_len(c) ringo_chan_len(ringo_ch_raw(c))
#define ringo_ch_cap(c) ringo_chan_cap(ringo_ch_raw(c))
#define ringo_ch_ref(c) __extension__({ \
	__auto_type ringo__d = (c); \
	(__typeof__(ringo__d))ringo_chan_ref(ringo_ch_raw(ringo__d)); })
#define ringo_ch_unref(c) ringo_chan_unref(ringo_ch_raw(c))

#else

#include <type_traits>

template <class T> struct ringo__chan_of;
template <class T> struct ringo__same {
	typedef T type;
};

#define ringo_ch(...) ringo__chan_of<__VA_ARGS__> *
#define ringo_ch_make(T, cap) ringo__ch_typed<T>(ringo__ch_make(sizeof(T), cap))
#define ringo_ch_as(T, raw) ringo__ch_typed<T>(ringo__ch_as(raw, sizeof(T)))

template <class T> inline ringo__chan_of<T> *ringo__ch_typed(struct ringo_chan *c)
{
	static_assert(std::is_trivially_copyable<T>::value && !std::is_array<T>::value,
		      "ringo_ch: elements are copied byte by byte");
	return reinterpret_cast<ringo__chan_of<T> *>(c);
}

template <class T> inline struct ringo_chan *ringo_ch_raw(ringo__chan_of<T> *c)
{
	return reinterpret_cast<struct ringo_chan *>(c);
}

/* The same type, numbers that keep their value or nearly, pointers that convert. */
template <class T, class V> struct ringo__ch_fits {
	typedef typename std::decay<V>::type D;
	static const bool floats = std::is_floating_point<T>::value;
	static const bool numbers = std::is_arithmetic<T>::value && std::is_arithmetic<D>::value;
	static const bool small = sizeof(D) <= sizeof(T) || std::is_same<D, int>::value;
	static const bool value = std::is_same<T, D>::value ||
		(numbers && (floats ? small || std::is_integral<D>::value : small && std::is_integral<D>::value)) ||
		(std::is_pointer<T>::value && std::is_convertible<const V &, T>::value);
};

template <class T, class V> inline T ringo__ch_value(const V &v)
{
	static_assert(ringo__ch_fits<T, V>::value, "ringo_ch_send: the value is not of the channel's element type");
	return static_cast<T>(v);
}

template <class T, class V> RINGO__MUST inline int ringo_ch_send(ringo__chan_of<T> *c, const V &v)
{
	const T value = ringo__ch_value<T, V>(v);
	return ringo_chan_send(ringo_ch_raw(c), &value);
}

template <class T, class V> RINGO__MUST inline int ringo_ch_try_send(ringo__chan_of<T> *c, const V &v)
{
	const T value = ringo__ch_value<T, V>(v);
	return ringo_chan_try_send(ringo_ch_raw(c), &value);
}

template <class T>
RINGO__MUST inline int ringo_ch_recv(ringo__chan_of<T> *c, typename ringo__same<T>::type *v)
{
	return ringo_chan_recv(ringo_ch_raw(c), v);
}

template <class T>
RINGO__MUST inline int ringo_ch_try_recv(ringo__chan_of<T> *c, typename ringo__same<T>::type *v)
{
	return ringo_chan_try_recv(ringo_ch_raw(c), v);
}

template <class T> inline int ringo_ch_close(ringo__chan_of<T> *c)
{
	return ringo_chan_close(ringo_ch_raw(c));
}

template <class T> inline size_t ringo_ch_len(ringo__chan_of<T> *c)
{
	return ringo_chan_len(ringo_ch_raw(c));
}

template <class T> inline size_t ringo_ch_cap(ringo__chan_of<T> *c)
{
	return ringo_chan_cap(ringo_ch_raw(c));
}

template <class T> inline ringo__chan_of<T> *ringo_ch_ref(ringo__chan_of<T> *c)
{
	ringo_chan_ref(ringo_ch_raw(c));
	return c;
}

template <class T> inline void ringo_ch_unref(ringo__chan_of<T> *c)
{
	ringo_chan_unref(ringo_ch_raw(c));
}

#endif

#endif
