export * from '../../client/format.ts'
