//! The journey of one frame through the rooms.
