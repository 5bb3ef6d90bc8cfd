import { Group, Paper, SegmentedControl, SimpleGrid, Skeleton, Slider, Stack, Table, Text, Title } from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { hindranceOf } from '../../../client/plan-hindrance.ts'
import {
  amountAt,
  POSITIONS,
  positionOf,
  SCALES,
  type UsageField,
  type UsageScale,
} from '../../../client/usage-scales.ts'
import { type Estimate, estimateQuery } from '../api/estimate.ts'
import type { Isolation } from '../api/plans.ts'
import { ISOLATIONS } from '../api/tenants.ts'
import { formatMoney } from '../format.ts'
import { PageHeader } from '../parts/page-header.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { StatusDot } from '../parts/status-dot.tsx'

/** What a usage costs on each plan, for everybody: reckoned by the platform itself, as its invoices are. */
export function PricingPage() {
  const [usage, setUsage] = useState<Partial<Record<UsageField, number>>>(
    Object.fromEntries(SCALES.map(({ field, start }) => [field, start])),
  )
  const [isolation, setIsolation] = useState<Isolation>('schema')
  const [request] = useDebouncedValue({ usage, isolation }, 150)
  const estimate = useQuery(estimateQuery(request))
  return (
    <>
      <PageHeader title="Pricing" detail="Move the sliders to what you expect to use in a month." />
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="xl" mb="xl">
        {SCALES.map((scale) => (
          <UsageSlider
            key={scale.field}
            scale={scale}
            value={usage[scale.field] ?? 0}
            onChange={(value) => setUsage((all) => ({ ...all, [scale.field]: value }))}
          />
        ))}
        <div>
          <Text size="sm" fw={500} mb={6}>
            Isolation
          </Text>
          <SegmentedControl
            aria-label="Isolation"
            data={ISOLATIONS.map((one) => ({ value: one, label: one.charAt(0).toUpperCase() + one.slice(1) }))}
            value={isolation}
            onChange={(next) => setIsolation(next as Isolation)}
          />
        </div>
      </SimpleGrid>
      {estimate.error !== null && estimate.data === undefined ? (
        <ProblemAlert fault={estimate.error} onRetry={() => void estimate.refetch()} />
      ) : (
        <SimpleGrid cols={{ base: 1, sm: 2, lg: 3 }}>
          {estimate.data === undefined
            ? [1, 2, 3].map((place) => <Skeleton key={place} h={220} radius="lg" />)
            : estimate.data.data.map((plan) => (
                <PlanCard key={plan.plan} plan={plan} currency={estimate.data.currency} isolation={isolation} />
              ))}
        </SimpleGrid>
      )}
      <Text size="xs" c="dimmed" mt="lg">
        Of a whole month, before taxes. The API reckons the same: <code>POST /v1/pricing/estimate</code>.
      </Text>
    </>
  )
}

function UsageSlider(props: { scale: UsageScale; value: number; onChange: (value: number) => void }) {
  const { scale, value } = props
  return (
    <div>
      <Group justify="space-between" mb={6}>
        <Text size="sm" fw={500}>
          {scale.label}
        </Text>
        <Text size="sm" className="figures">
          {scale.format(value)}
        </Text>
      </Group>
      <Slider
        thumbLabel={scale.label}
        label={null}
        min={0}
        max={POSITIONS}
        value={positionOf(scale, value)}
        onChange={(position) => props.onChange(amountAt(scale, position))}
        thumbProps={{ 'aria-valuetext': scale.format(value) }}
      />
    </div>
  )
}

function PlanCard(props: { plan: Estimate['data'][number]; currency: string; isolation: Isolation }) {
  const { plan, currency, isolation } = props
  const hindrance = hindranceOf(plan, isolation)
  return (
    <Paper p="lg" component="section" aria-label={plan.title}>
      <Stack gap="xs">
        <Group justify="space-between">
          <Title order={2}>{plan.title}</Title>
          {hindrance === undefined && <StatusDot status="active" label="Fits" />}
        </Group>
        <Text fz={26} fw={600} className="figures" c={hindrance === undefined ? 'var(--mantine-color-text)' : 'dimmed'}>
          {formatMoney(plan.total_micros, currency)}
          <Text span size="sm" c="dimmed">
            {' '}
            a month
          </Text>
        </Text>
        {hindrance !== undefined && (
          <Text size="sm" c="var(--warn)">
            {hindrance}
          </Text>
        )}
        <Table aria-label={`${plan.title}, line by line`} horizontalSpacing={0}>
          <Table.Tbody className="figures">
            {plan.lines.map((line) => (
              <Table.Tr key={line.description}>
                <Table.Td>{line.description}</Table.Td>
                <Table.Td ta="right">{formatMoney(line.amount_micros, currency)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Stack>
    </Paper>
  )
}
