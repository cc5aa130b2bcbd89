//! Takes alerts and findings to the world.
