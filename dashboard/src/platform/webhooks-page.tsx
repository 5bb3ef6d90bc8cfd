import { Button, Group, Modal, Stack, Text, TextInput, VisuallyHidden } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { createColumnHelper } from '@tanstack/react-table'
import { type FormEvent, useState } from 'react'
import {
  deliveriesQuery,
  useMakeWebhook,
  useRemoveWebhook,
  type Webhook,
  type WebhookDelivery,
  webhooksQuery,
} from '../api/platform-parts.ts'
import { useRight } from '../api/session.ts'
import type { Column, tableFeatureSet } from '../parts/data-table.tsx'
import { EmptyState } from '../parts/empty-state.tsx'
import { ListCard } from '../parts/list-card.tsx'
import { PageHeader } from '../parts/page-header.tsx'
import { useCursorPages } from '../parts/pager.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportDone } from '../parts/report.tsx'
import { ShownKey } from '../parts/shown-key.tsx'
import { StatusDot } from '../parts/status-dot.tsx'
import { TimeAgo } from '../parts/time-ago.tsx'

type Chosen = { act: 'deliveries' | 'remove'; webhook: Webhook }

/** Where events are sent, and whether they arrive. */
export function WebhooksPage() {
  const pages = useCursorPages()
  const webhooks = useQuery(webhooksQuery(pages.cursor))
  const canAct = useRight('webhooks', 'act')
  const [making, make] = useDisclosure()
  const [secret, showSecret] = useState<string>()
  const [chosen, choose] = useState<Chosen>()
  return (
    <>
      <PageHeader title="Webhooks" detail="Signed as Standard Webhooks 1.0.0, and repeated until they are taken in." />
      <ListCard
        title="Addresses"
        query={webhooks}
        columns={[...COLUMNS, actionsColumn(choose, canAct)]}
        rowId={(webhook) => webhook.webhook_id}
        pages={pages}
        empty={
          <EmptyState title="Nobody is told">
            Events of tenants, alerts and invoices can be sent to an address.
          </EmptyState>
        }
        action={
          canAct && (
            <Button size="compact-sm" variant="default" onClick={make.open}>
              New webhook
            </Button>
          )
        }
      />
      <Modal opened={making} onClose={make.close} title="New webhook">
        {making && (
          <MakeForm
            onClose={make.close}
            onDone={(made) => {
              make.close()
              showSecret(made)
            }}
          />
        )}
      </Modal>
      <Modal opened={secret !== undefined} onClose={() => showSecret(undefined)} title="The signing secret">
        {secret !== undefined && (
          <Stack>
            <Text size="sm">What is sent is signed with it. Take it along now: it is not shown again.</Text>
            <ShownKey label="The secret" value={secret} />
            <Group justify="flex-end">
              <Button onClick={() => showSecret(undefined)}>Done</Button>
            </Group>
          </Stack>
        )}
      </Modal>
      <Modal
        opened={chosen !== undefined}
        onClose={() => choose(undefined)}
        size={chosen?.act === 'deliveries' ? 'xl' : 'md'}
        title={chosen?.act === 'deliveries' ? 'Last deliveries' : 'Remove the webhook'}
      >
        {chosen?.act === 'deliveries' && <Deliveries webhookId={chosen.webhook.webhook_id} />}
        {chosen?.act === 'remove' && <RemoveForm of={chosen.webhook} onClose={() => choose(undefined)} />}
      </Modal>
    </>
  )
}

function MakeForm({ onClose, onDone }: { onClose: () => void; onDone: (secret: string) => void }) {
  const make = useMakeWebhook()
  const [url, setUrl] = useState('')
  const [description, setDescription] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const text = description.trim()
    make.mutate(
      { url: url.trim(), description: text === '' ? null : text },
      { onSuccess: ({ shown }) => onDone(shown.secret) },
    )
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label="Address"
          description="All events are sent there by POST."
          type="url"
          placeholder="https://"
          required
          data-autofocus
          value={url}
          onChange={(event) => setUrl(event.currentTarget.value)}
        />
        <TextInput
          label="Description"
          value={description}
          onChange={(event) => setDescription(event.currentTarget.value)}
        />
        {make.error !== null && <ProblemAlert fault={make.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={url.trim() === ''} loading={make.isPending}>
            Make it
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

function RemoveForm({ of, onClose }: { of: Webhook; onClose: () => void }) {
  const remove = useRemoveWebhook()
  return (
    <Stack>
      <Text size="sm">Nothing is sent to {of.url} any more, what waits neither.</Text>
      {remove.error !== null && <ProblemAlert fault={remove.error} />}
      <Group justify="flex-end">
        <Button variant="default" onClick={onClose}>
          Keep it
        </Button>
        <Button
          color="red"
          loading={remove.isPending}
          onClick={() =>
            remove.mutate(of.webhook_id, {
              onSuccess: ({ requestId }) => {
                reportDone(`The webhook ${of.url} is removed.`, requestId)
                onClose()
              },
            })
          }
        >
          Remove
        </Button>
      </Group>
    </Stack>
  )
}

function Deliveries({ webhookId }: { webhookId: string }) {
  const deliveries = useQuery(deliveriesQuery(webhookId))
  return (
    <ListCard
      title="Deliveries"
      query={deliveries}
      columns={DELIVERY_COLUMNS}
      rowId={(delivery) => delivery.message_id}
      empty={<EmptyState title="Nothing was sent yet" />}
    />
  )
}

const helper = createColumnHelper<typeof tableFeatureSet, Webhook>()
const COLUMNS = [
  helper.accessor('url', {
    header: 'Address',
    enableSorting: false,
    cell: ({ row: { original: webhook } }) => (
      <div>
        <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
          {webhook.url}
        </Text>
        <Text size="xs" c="dimmed">
          {webhook.description ?? (webhook.events.length === 0 ? 'all events' : webhook.events.join(', '))}
        </Text>
      </div>
    ),
  }),
  helper.accessor('disabled_at', {
    header: 'State',
    enableSorting: false,
    cell: ({ getValue }) =>
      getValue() === null ? (
        <StatusDot status="active" label="in use" />
      ) : (
        <StatusDot status="failed" label="given up" />
      ),
  }),
  helper.accessor('created_at', {
    header: 'Made',
    enableSorting: false,
    cell: ({ getValue }) => <TimeAgo at={getValue()} />,
  }),
] as Column<Webhook>[]

function actionsColumn(choose: (chosen: Chosen) => void, canAct: boolean): Column<Webhook> {
  return helper.display({
    id: 'actions',
    header: () => <VisuallyHidden>Actions</VisuallyHidden>,
    meta: { align: 'right' },
    cell: ({ row: { original: webhook } }) => (
      <Group gap="xs" justify="flex-end" wrap="nowrap">
        <Button
          size="compact-xs"
          variant="default"
          aria-label={`Deliveries to ${webhook.url}`}
          onClick={() => choose({ act: 'deliveries', webhook })}
        >
          Deliveries
        </Button>
        {canAct && (
          <Button
            size="compact-xs"
            variant="light"
            color="red"
            aria-label={`Remove ${webhook.url}`}
            onClick={() => choose({ act: 'remove', webhook })}
          >
            Remove
          </Button>
        )}
      </Group>
    ),
  }) as Column<Webhook>
}

const deliveryHelper = createColumnHelper<typeof tableFeatureSet, WebhookDelivery>()
const DELIVERY_COLUMNS = [
  deliveryHelper.accessor('type', { header: 'Event', enableSorting: false }),
  deliveryHelper.accessor('status', {
    header: 'State',
    enableSorting: false,
    cell: ({ getValue }) => (
      <StatusDot status={getValue() === 'delivered' ? 'succeeded' : getValue()} label={getValue()} />
    ),
  }),
  deliveryHelper.accessor('attempts', {
    header: 'Tries',
    enableSorting: false,
    cell: ({ row: { original: delivery } }) => (
      <Text size="sm">
        {delivery.attempts}
        {delivery.last_status !== null && `, last answer ${delivery.last_status}`}
        {delivery.last_error !== null && `: ${delivery.last_error}`}
      </Text>
    ),
  }),
  deliveryHelper.accessor('created_at', {
    header: 'When',
    enableSorting: false,
    cell: ({ getValue }) => <TimeAgo at={getValue()} />,
    meta: { align: 'right' },
  }),
] as Column<WebhookDelivery>[]
