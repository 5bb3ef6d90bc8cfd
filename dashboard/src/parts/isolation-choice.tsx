import { Radio, Stack } from '@mantine/core'
import type { Isolation, Plan } from '../api/plans.ts'
import { ISOLATIONS } from '../api/tenants.ts'
import { formatMoney } from '../format.ts'

const TEXTS: Readonly<Record<Isolation, string>> = {
  schema: 'A schema of its own on a shared server',
  database: 'A PostgreSQL server of its own',
  cluster: 'A primary with two synchronous standbys',
}

/** The degrees of isolation, with what each costs on a plan; what the plan does not offer cannot be chosen. */
export function IsolationChoice(props: {
  plan: Plan | undefined
  currency: string
  value: Isolation
  onChange: (isolation: Isolation) => void
}) {
  const { plan } = props
  const describe = (isolation: Isolation) => {
    if (plan?.isolations.includes(isolation) !== true)
      return `${TEXTS[isolation]}; ${plan?.title ?? 'this plan'} does not offer it`
    const surcharge = plan.isolation_surcharge_micros[isolation] ?? 0
    return surcharge > 0
      ? `${TEXTS[isolation]}, ${formatMoney(surcharge, props.currency)} more a month`
      : TEXTS[isolation]
  }
  return (
    <Radio.Group label="Isolation" value={props.value} onChange={(value) => props.onChange(value as Isolation)}>
      <Stack gap="sm" mt="xs">
        {ISOLATIONS.map((isolation) => (
          <Radio
            key={isolation}
            value={isolation}
            disabled={plan?.isolations.includes(isolation) !== true}
            label={isolation.charAt(0).toUpperCase() + isolation.slice(1)}
            description={describe(isolation)}
          />
        ))}
      </Stack>
    </Radio.Group>
  )
}
