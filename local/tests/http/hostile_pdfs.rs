//! hostile_pdfs
