//! The language: text to plan; keeps out running anything and printing.
