//! The kind HydroVu: data of the HydroVu service.

mod spec;

pub use spec::HydroVu;
