import { Skeleton } from '@mantine/core'
import { CaretDownIcon, CaretSortIcon, CaretUpIcon } from '@radix-ui/react-icons'
import {
  type ColumnDef,
  type RowData,
  rowSelectionFeature,
  rowSortingFeature,
  tableFeatures,
  useTable,
} from '@tanstack/react-table'
import type { ReactNode } from 'react'
import classes from './data-table.module.css'

/** The server sorts and pages; the table knows its order and what is picked. */
export const tableFeatureSet = tableFeatures({ rowSortingFeature, rowSelectionFeature })
export type Column<Row extends RowData> = ColumnDef<typeof tableFeatureSet, Row, unknown> & {
  meta?: { align?: 'right'; width?: number | string; hideBelow?: number }
}

/** The ids of the rows that are picked. */
export type Picked = Readonly<Record<string, true>>
export type SortState = { id: string; desc: boolean }

const PLACEHOLDERS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

/** A table of rows that the platform gave: headers that sort, rows that can be picked, and a state for each mood. */
export function DataTable<Row extends RowData>(props: {
  label: string
  columns: Column<Row>[]
  rows: readonly Row[]
  rowId: (row: Row) => string
  /** No rows are known yet. */
  isLoading?: boolean
  /** Rows of another question are still shown. */
  isFading?: boolean
  empty: ReactNode
  sort?: SortState
  onSort?: (sort: SortState) => void
  picked?: Picked
  onPick?: (picked: Picked) => void
}) {
  const { columns, rows, rowId, sort, picked } = props
  const table = useTable({
    features: tableFeatureSet,
    columns,
    data: rows as Row[],
    getRowId: rowId,
    manualSorting: true,
    enableSortingRemoval: false,
    state: { sorting: sort === undefined ? [] : [sort], rowSelection: { ...picked } },
    onSortingChange: (update) => {
      const [next] = typeof update === 'function' ? update(sort === undefined ? [] : [sort]) : update
      if (next !== undefined) props.onSort?.(next)
    },
    onRowSelectionChange: (update) => props.onPick?.(typeof update === 'function' ? update({ ...picked }) : update),
  })
  const bodyRows = table.getRowModel().rows
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls sideways must be reachable by keyboard
    <section className={classes.frame} tabIndex={0} aria-label={props.label} aria-busy={props.isLoading ?? false}>
      <table className={classes.table}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => {
                const meta = header.column.columnDef.meta as Column<Row>['meta']
                const direction = header.column.getIsSorted()
                return (
                  <th
                    key={header.id}
                    scope="col"
                    data-align={meta?.align}
                    style={meta?.width === undefined ? undefined : { width: meta.width }}
                    aria-sort={direction === false ? undefined : direction === 'asc' ? 'ascending' : 'descending'}
                  >
                    {header.column.getCanSort() && props.onSort !== undefined ? (
                      <button
                        type="button"
                        className={classes.sort}
                        data-active={direction !== false}
                        onClick={header.column.getToggleSortingHandler()}
                      >
                        <table.FlexRender header={header} />
                        {direction === 'asc' ? (
                          <CaretUpIcon />
                        ) : direction === 'desc' ? (
                          <CaretDownIcon />
                        ) : (
                          <CaretSortIcon />
                        )}
                      </button>
                    ) : (
                      <table.FlexRender header={header} />
                    )}
                  </th>
                )
              })}
            </tr>
          ))}
        </thead>
        <tbody className={props.isFading === true ? classes.fading : undefined}>
          {props.isLoading === true &&
            PLACEHOLDERS.map((place) => (
              <tr key={place}>
                {columns.map((column, i) => (
                  <td key={column.id ?? i}>
                    <Skeleton h={12} w={i === 0 ? 20 : '60%'} />
                  </td>
                ))}
              </tr>
            ))}
          {bodyRows.map((row) => (
            <tr key={row.id} data-hover="true" aria-selected={picked === undefined ? undefined : row.getIsSelected()}>
              {row.getAllCells().map((cell) => (
                <td key={cell.id} data-align={(cell.column.columnDef.meta as Column<Row>['meta'])?.align}>
                  <table.FlexRender cell={cell} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {props.isLoading !== true && bodyRows.length === 0 && props.empty}
    </section>
  )
}
