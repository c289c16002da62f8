//! What an operator wants to know of a machine before a broker runs on it: [`check`] looks at what is there and judges it,
//! [`iotune`] measures a disk. Neither changes anything about the system.

#![deny(unsafe_code)]
// This crate is about the real machine: there is nothing in it to simulate.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod check;
pub mod iotune;
#[allow(unsafe_code, reason = "system calls that the standard library does not have")]
pub mod sys;
