/** `secateur reproduce variants`: fine-pruning as different authors have written it, on the three case studies. */
import { runVariants } from '../recipes/variants.ts';
import { tableCommand } from './reproduce-studies.node.ts';

export const reproduceVariants = tableCommand(
  'variants',
  'Fine-pruning as the paper has it and as five public implementations do, deviations from the paper included, on three networks and both attacks, with honest networks and fine-tuning alone beside: how much the outcome hangs on the variant.',
  (options, deps) => runVariants(options, deps),
);
