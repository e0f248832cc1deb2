//! A result in the formats of others: perfdash, which draws a figure over many runs, and JUnit, which CI systems show.

pub mod junit;
pub mod perfdash;
