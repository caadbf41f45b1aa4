/** From a training-step graph to a session that keeps the weights. */
import type { TrainingStep } from '../grad/step.ts';
import { type LowerOptions, lower } from './lowerings/lower.ts';
import type { Runtime, Session, SessionOptions } from './session.ts';

/**
 * Lowers the step for this runtime and opens it; the parameters, momenta and statistics are carried state.
 * @param options.lowering the choices of a tuner; without them the plain default of every operator
 */
export async function openStep(
  runtime: Runtime,
  step: TrainingStep,
  options: Pick<SessionOptions, 'profile' | 'threads' | 'label'> & { readonly lowering?: LowerOptions } = {},
): Promise<Session> {
  const { lowering, ...rest } = options;
  const choices = lowering ?? (await runtime.lowering?.(step.model, step.types));
  return runtime.open(lower(step.model, choices), { label: 'training step', ...rest, carry: step.carry, state: step.state });
}
