//! The one controller driver, and a module for each controller.
