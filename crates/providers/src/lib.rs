//! The providers: pure codecs; keeps processes out.
