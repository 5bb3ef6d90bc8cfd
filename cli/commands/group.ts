import type { Command } from '@commander-js/extra-typings'

/** A command that others are added to. */
export type Group = Command<[], Record<string, unknown>, Record<string, unknown>>
