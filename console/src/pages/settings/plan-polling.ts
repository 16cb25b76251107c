/** The polling of the subscription after a payment, until Stripe's event has arrived. */
import type { Subscription } from "./queries";

const POLL_MS = 2_000;
/** Stripe's event mostly comes within seconds. 30 answers take a minute; failed calls are repeated first and take longer. */
export const MAX_POLLS = 30;

/** The fields of a query's state that decide whether the polling goes on. */
interface PollState {
  data: Pick<Subscription, "is_pro"> | undefined;
  dataUpdateCount: number;
  errorUpdateCount: number;
}

/** True after the last poll, also when calls failed, without a paid plan. */
export const isPaymentLate = ({ data, dataUpdateCount, errorUpdateCount }: PollState): boolean =>
  data?.is_pro !== true && dataUpdateCount + errorUpdateCount >= MAX_POLLS;

/** Milliseconds until the next poll. False when the plan is paid, and after the last poll. */
export const pollInterval = (state: PollState): number | false => (state.data?.is_pro === true || isPaymentLate(state) ? false : POLL_MS);
