import { useSearchParams } from 'react-router'
import { ISOLATIONS, SORTS, type Sort, STATUSES, type TenantFilter } from '../api/tenants.ts'

type FilterName = 'name' | 'plan' | 'status' | 'isolation'

/** The question that the list answers, kept in the address: it can be linked to, and the way back leads to it. */
export function useTenantFilter() {
  const [params, setParams] = useSearchParams()
  const name = params.get('name')
  const plan = params.get('plan')
  const status = STATUSES.find((one) => one === params.get('status'))
  const isolation = ISOLATIONS.find((one) => one === params.get('isolation'))
  const filter: TenantFilter = {
    ...(name === null || name === '' ? {} : { name }),
    ...(plan === null || plan === '' ? {} : { plan }),
    ...(status === undefined ? {} : { status }),
    ...(isolation === undefined ? {} : { isolation }),
    sort: SORTS.find((one) => one === params.get('sort')) ?? 'created_at',
    order: params.get('order') === 'asc' ? 'asc' : 'desc',
  }
  function set(member: FilterName, value: string | null): void
  function set(member: 'sort', value: Sort, order: 'asc' | 'desc'): void
  function set(member: FilterName | 'sort', value: string | null, order?: 'asc' | 'desc') {
    setParams(
      (before) => {
        const after = new URLSearchParams(before)
        if (value === null || value === '') after.delete(member)
        else after.set(member, value)
        if (order !== undefined) after.set('order', order)
        return after
      },
      { replace: true },
    )
  }
  return {
    filter,
    set,
    clear: () => setParams(new URLSearchParams(), { replace: true }),
    isNarrowed: name !== null || plan !== null || status !== undefined || isolation !== undefined,
  }
}
