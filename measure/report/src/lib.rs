//! What a result says: read from its folder, summed up, and shown on the terminal, as one page without network, for
//! perfdash and JUnit, and against another result.
//!
//! It starts nothing, and knows of no lab and no media: a folder comes in, texts go out.

mod charts;
pub mod cli;
pub mod compare;
pub mod export;
mod files;
pub mod frames;
mod page;
pub mod pool;
pub mod provision;
mod series;
mod stdout;
pub mod summary;
mod templates;
mod terminal;
mod text;
mod view;

pub use files::write;
pub use terminal::render as terminal;
