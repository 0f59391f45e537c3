// A call of the core: the GIL goes, signals are asked for, what is thrown becomes Python's.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>

#include "secateur/data.hpp"

namespace secateur::bindings {

// Multiply-adds below which waking threads costs more than they save, above all where other programs keep the cores busy.
inline constexpr double worth_threads = 4e6;

// The calling thread asks for signals (Ctrl-C) about twenty times a second, and then tells `progress`, a callable or None, what
// share is done.
template <class Kernel>
void run(int threads, double work, Kernel&& kernel, const pybind11::object& progress = pybind11::none()) {
    namespace py = pybind11;
    using Clock = std::chrono::steady_clock;
    auto last = Clock::now();
    if (threads < 1) throw py::value_error("threads must be at least 1, got " + std::to_string(threads));
    simd_level();  // one that can't be had is refused while the GIL is held
    const Context context(work < worth_threads ? 1 : threads, [last, &progress](double share) mutable {
        if (Clock::now() - last < std::chrono::milliseconds(50)) return false;
        last = Clock::now();
        const py::gil_scoped_acquire held;
        if (PyErr_CheckSignals() != 0) return true;
        if (progress.is_none()) return false;
        const auto told = PyObject_CallFunction(progress.ptr(), "d", share);
        Py_XDECREF(told);
        return told == nullptr;
    });
    try {
        const py::gil_scoped_release released;
        kernel(context);
    } catch (const Interrupted&) {
        throw py::error_already_set();
    } catch (const OutOfMemory& error) {
        PyErr_SetString(PyExc_MemoryError, error.what());
        throw py::error_already_set();
    }
}

// What needs no thread of its own.
template <class Kernel>
void run(Kernel&& kernel) {
    run(1, 0, [&](const Context&) { kernel(); });
}

}  // namespace secateur::bindings
