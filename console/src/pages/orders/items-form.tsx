import { Plus, Trash2 } from "lucide-react";
import { useId } from "react";
import { useFieldArray, type UseFormReturn, useWatch } from "react-hook-form";

import { totalOf } from "@/lib/amount";
import { cn } from "@/lib/cn";
import { useFormat } from "@/session/company";
import { useTexts } from "@/texts";
import { Button } from "@/ui/button";
import { Field } from "@/ui/field";
import { Input } from "@/ui/input";

import { EMPTY_ITEM, MAX_ITEMS, type OrderValues } from "./form";
import { ItemName } from "./item-name";

interface ItemsFormProps {
  form: UseFormReturn<OrderValues>;
  currency: string;
}

/** Customer and items of an order, with the total as it is typed. */
export function ItemsForm({ form, currency }: ItemsFormProps) {
  const { orders } = useTexts("orders");
  const format = useFormat();
  const { fields, append, remove } = useFieldArray({ control: form.control, name: "items" });
  const items = useWatch({ control: form.control, name: "items" });
  const total = totalOf(items.map(({ quantity, unit_price }) => ({ quantity: Number(quantity), unit_price })));
  return (
    <>
      <Field label={orders.customerName} isOptional error={form.formState.errors.customer_name?.message} className="max-w-md">
        {(control) => <Input {...control} dir="auto" maxLength={200} autoComplete="off" {...form.register("customer_name")} />}
      </Field>
      <div className="grid grid-cols-1 gap-4">
        {fields.map((field, place) => (
          <ItemFields
            key={field.id}
            form={form}
            place={place}
            currency={currency}
            {...(fields.length > 1 && { onRemove: () => remove(place) })}
          />
        ))}
      </div>
      <div className="flex flex-wrap items-center justify-between gap-3">
        {fields.length < MAX_ITEMS ? (
          <Button variant="outline" size="sm" onClick={() => append(EMPTY_ITEM)}>
            <Plus aria-hidden />
            {orders.addItem}
          </Button>
        ) : (
          <p className="text-sm text-muted-foreground">{orders.maxItems(MAX_ITEMS)}</p>
        )}
        <p className="text-sm text-muted-foreground">
          {orders.total} <output className="ml-2 font-semibold text-foreground tabular-nums">{format.money(total, currency)}</output>
        </p>
      </div>
    </>
  );
}

function ItemFields({ form, place, currency, onRemove }: ItemsFormProps & { place: number; onRemove?: () => void }) {
  const { orders } = useTexts("orders");
  const errors = form.formState.errors.items?.[place];
  const currencyId = useId();
  return (
    <fieldset className="rounded-md border px-4 pt-2 pb-4">
      <legend className="px-1 text-sm text-muted-foreground">{orders.itemN(place + 1)}</legend>
      <div className="grid grid-cols-[5rem_minmax(0,1fr)] items-start gap-3 md:grid-cols-[minmax(0,1fr)_6rem_13rem_auto]">
        <ItemName form={form} place={place} currency={currency} />
        <Field label={orders.quantity} error={errors?.quantity?.message}>
          {(control) => <Input {...control} inputMode="numeric" maxLength={3} {...form.register(`items.${place}.quantity`)} />}
        </Field>
        <Field label={orders.unitPrice} isOptional error={errors?.unit_price?.message}>
          {(control) => (
            <div className="relative">
              <Input
                {...control}
                inputMode="decimal"
                maxLength={20}
                className="pr-14"
                aria-describedby={cn(control["aria-describedby"], currencyId)}
                {...form.register(`items.${place}.unit_price`)}
              />
              <span id={currencyId} className="pointer-events-none absolute top-2 right-3 text-sm text-muted-foreground">
                {currency}
              </span>
            </div>
          )}
        </Field>
        {onRemove && (
          <Button variant="ghost" size="icon" className="col-span-2 justify-self-end md:col-span-1 md:mt-6.5" aria-label={orders.removeItem(place + 1)} onClick={onRemove}>
            <Trash2 aria-hidden />
          </Button>
        )}
      </div>
    </fieldset>
  );
}
