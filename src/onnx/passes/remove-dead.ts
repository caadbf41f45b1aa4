/** Takes out nodes that reach no graph output, and initialisers that nobody reads. */
import { removeDead } from '../edit.ts';
import type { Pass } from './pass.ts';

export const removeDeadNodes: Pass = { name: 'remove-dead', run: ({ graph }) => removeDead(graph) > 0 };
