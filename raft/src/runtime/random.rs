//! Random numbers.

use std::convert::Infallible;

use rand_core::TryRng;

/// Draws from the random numbers of `runtime`: in a simulation they come from its seed.
#[derive(Debug, Clone, Copy)]
pub struct Random;

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let high = ::runtime::random_u64() >> 32;
        Ok(u32::try_from(high).expect("32 bits are left"))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(::runtime::random_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        ::runtime::fill(bytes);
        Ok(())
    }
}
