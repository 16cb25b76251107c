//! The migrations are embedded: a new one changes no file that the compiler has read before.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
