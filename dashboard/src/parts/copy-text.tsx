import { ActionIcon, Tooltip } from '@mantine/core'
import { useClipboard } from '@mantine/hooks'
import { CheckIcon, CopyIcon } from '@radix-ui/react-icons'

/** Takes a text along. */
export function CopyText({ text, label }: { text: string; label: string }) {
  const clipboard = useClipboard({ timeout: 1_500 })
  return (
    <Tooltip label={clipboard.copied ? 'Copied' : label}>
      <ActionIcon size="sm" aria-label={clipboard.copied ? 'Copied' : label} onClick={() => clipboard.copy(text)}>
        {clipboard.copied ? <CheckIcon /> : <CopyIcon />}
      </ActionIcon>
    </Tooltip>
  )
}
