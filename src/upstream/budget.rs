//! Retry budget: at most a fifth of the requests are retries, so that retries do not multiply the load on a failing
//! upstream.

/// Added by a first attempt.
const DEPOSIT: u32 = 20;
/// Subtracted by a retry.
const COST: u32 = 100;
/// Start value and maximum of the balance: ten retries.
const RESERVE: u32 = 10 * COST;

/// The balance of one upstream.
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
    /// Counts a first attempt.
    pub(super) fn deposit(&mut self) {
        self.balance = (self.balance + DEPOSIT).min(RESERVE);
    }

    /// Takes a retry from the budget. False if it is spent.
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
