/**
 * The only door to the file format: protobuf messages in, the graph of `model.ts` out, and back.
 *
 * Nothing is lost on the way: every entity keeps the message it came from, and writing starts from that message and sets only what
 * differs. So what is read and written unchanged is equal field by field, whatever fields this program has never heard of.
 */
export { besideGraph, type ExternalReader, type ModelFunction, readModel, readTensor } from './proto-read.ts';
export { encodeModel, encodeWithExternal, externalLocations, otherFields, writeModel, writeTensor } from './proto-write.ts';
