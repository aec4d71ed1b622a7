//! What is done to a log from outside, and what becomes of it.

mod checkpoints;
mod damage;
mod full_disk;
mod kills;
mod tampering;
