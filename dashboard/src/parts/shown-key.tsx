import { TextInput } from '@mantine/core'
import { CopyText } from './copy-text.tsx'

/** A secret that is shown this once: ready to be taken along, never to be found again. */
export function ShownKey({ label, value }: { label: string; value: string }) {
  return (
    <TextInput
      label={label}
      value={value}
      readOnly
      onFocus={(event) => event.currentTarget.select()}
      rightSection={<CopyText text={value} label="Copy the key" />}
      styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '0.75rem' } }}
    />
  )
}
