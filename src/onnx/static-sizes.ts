/** placeholder while being written */
import type { Model } from './model.ts';
export function checkSizes(_model: Model, _where: string): void {}
