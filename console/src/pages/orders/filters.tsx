import { useNavigate } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { SearchField } from "@/layout/search-field";
import { defined, oneOf } from "@/lib/search";
import { useTexts } from "@/texts";
import { Field } from "@/ui/field";
import { Input, Select } from "@/ui/input";

import { ordersRoute } from "./route";
import { type OrdersSearch, SORTS, STATUSES } from "./search";

/** Search, status, period and sort of the list: all of it is in the address. */
export function OrderFilters() {
  const { orders, common } = useTexts("orders");
  const search = ordersRoute.useSearch();
  const navigate = useNavigate({ from: "/orders" });
  const change = (patch: { [K in keyof OrdersSearch]: OrdersSearch[K] | undefined }) =>
    void navigate({ search: (previous) => defined({ ...previous, page: undefined, ...patch }), replace: true });
  return (
    <div className="grid grid-cols-2 items-end gap-3 lg:grid-cols-[minmax(0,2fr)_minmax(0,1fr)_auto_auto_minmax(0,1.4fr)]">
      <SearchField
        className="col-span-2 lg:col-span-1"
        label={orders.search}
        value={search.search ?? ""}
        onSearch={(text) => change({ search: text === "" ? undefined : text })}
      />
      <Field label={common.status}>
        {(control) => (
          <Select {...control} value={search.status ?? ""} onChange={(event) => change({ status: oneOf(event.target.value, STATUSES) })}>
            <option value="">{common.allStatuses}</option>
            {STATUSES.map((status) => (
              <option key={status} value={status}>
                {orders.statuses[status]}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Day label={common.from} value={search.from} max={search.to} onChange={(from) => change({ from })} />
      <Day label={common.to} value={search.to} min={search.from} onChange={(to) => change({ to })} />
      <Field label={common.sort}>
        {(control) => (
          <Select {...control} value={search.sort ?? SORTS[0]} onChange={(event) => change({ sort: oneOf(event.target.value, SORTS.slice(1)) })}>
            {SORTS.map((sort) => (
              <option key={sort} value={sort}>
                {orders.sorts[sort]}
              </option>
            ))}
          </Select>
        )}
      </Field>
    </div>
  );
}

interface DayProps {
  label: string;
  value: string | undefined;
  min?: string | undefined;
  max?: string | undefined;
  onChange: (day: string | undefined) => void;
}

function Day({ label, value, min, max, onChange }: DayProps): ReactNode {
  return (
    <Field label={label}>
      {(control) => (
        <Input
          {...control}
          type="date"
          value={value ?? ""}
          min={min}
          max={max}
          onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value)}
        />
      )}
    </Field>
  );
}
