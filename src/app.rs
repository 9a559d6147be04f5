//! Puts everything together; publishes, reloads, drains.
