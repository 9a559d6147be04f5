//! Simulator, sample site and gateway in one process.
