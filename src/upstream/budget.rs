//! The retry budget: retries may be a fifth of what is sent, so that an upstream in trouble is not given more of it.

/// What one first attempt adds; a retry costs 100.
const DEPOSIT: u32 = 20;
const COST: u32 = 100;
/// Retries that a quiet upstream may have at once, and the most that can be saved up.
const RESERVE: u32 = 10 * COST;

/// Retries that may still be made.
#[derive(Debug)]
pub(super) struct Budget {
    balance: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { balance: RESERVE }
    }
}

impl Budget {
    /// A first attempt is made.
    pub(super) fn deposit(&mut self) {
        self.balance = (self.balance + DEPOSIT).min(RESERVE);
    }

    /// Whether a retry may be made; if so it is paid for.
    pub(super) fn withdraw(&mut self) -> bool {
        let enough = self.balance >= COST;
        if enough {
            self.balance -= COST;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_stay_a_fifth_of_the_traffic() {
        let mut budget = Budget::default();
        let retries = (0..10_000).filter(|_| {
            budget.deposit();
            budget.withdraw()
        });
        // A fifth of 10,000, and the reserve that a quiet upstream starts with.
        assert!((2_000..=2_010).contains(&retries.count()));
    }
}
