//! The cases. Each is a promise; its documentation says which.

pub mod acknowledging;
pub mod distribution;
pub mod ending;
pub mod exactly;
pub mod failing;
pub mod hostile;
pub mod limits;
pub mod readiness;
pub mod restarting;
pub mod starts;
